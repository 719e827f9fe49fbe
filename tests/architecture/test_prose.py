"""The pages are plain: few literary words and semicolons, many uses of "you", and many examples."""

import pytest

from tests.architecture.prose import Measure, measure, total


def test_all_pages_together_are_plain():
    counted = total()
    assert counted.per_1000(counted.literary) < 2
    assert counted.per_1000(counted.semicolons) < 5
    assert counted.per_1000(counted.you) >= 10
    assert counted.examples_percent >= 35


TEXT = """\
# Do it

You lie; nobody `is; no` [told](you.md;x).

    an example; you
      goes on

* one item
  goes
  on

      a block

```
fenced
```
"""


def test_prose_is_counted_without_code_and_a_phrase_over_two_lines_too():
    assert measure(TEXT) == Measure(words=10, literary=4, semicolons=1, you=1, lines=9, example_lines=4)


@pytest.mark.parametrize(
    ("text", "example_lines"),
    [
        ("* an item\n    that is continued\n", 0),
        ("text\n    that is continued\n", 0),
        ("text\n\n    a block\n", 1),
        ("text\n\n    a block\n\n    of two parts\n", 2),
        ("* an item\n\n      a block\n\ntext\n\n    a block\n", 2),
    ],
)
def test_a_line_is_an_example_in_a_block_only(text, example_lines):
    assert measure(text).example_lines == example_lines
