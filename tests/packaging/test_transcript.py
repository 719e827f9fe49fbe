"""How examples are read out of a document, and what of their output may differ."""

import pytest

from tests.packaging.documents import parse, spans, unmarked
from tests.packaging.transcript import Comparison

TEXT = """
# Title

    $ cat > few.txt <<'END'
    a name
    END
    $ curl -s http://127.0.0.1:8333/ \\
        -d '{}'
    {"ids": [1]}

    another line

Prose with `cdsed
add` in it.

* item:

      $ cdsed status
      ● The daemon runs

## Next

    >>> found = f(1,
    ...           2)
    >>> found
    [1]

    make demo
"""


def test_commands_are_taken_whole_with_what_is_shown_below_them():
    assert [(step.section, step.kind, step.command, step.shown) for step in parse(TEXT, "x.md")] == [
        ("Title", "shell", "cat > few.txt <<'END'\na name\nEND", []),
        ("Title", "shell", "curl -s http://127.0.0.1:8333/ \\\n    -d '{}'", ['{"ids": [1]}', "", "another line"]),
        ("Title", "shell", "cdsed status", ["● The daemon runs"]),
        ("Next", "python", "found = f(1,\n          2)", []),
        ("Next", "python", "found", ["[1]", "", "make demo"]),
    ]


def test_a_command_without_a_prompt_is_found_and_one_in_the_prose_is_read_over_line_ends():
    assert unmarked("text\n\n    make demo\n\n    inbox/  drop here\n") == ["    make demo"]
    assert list(spans(TEXT)) == ["cdsed add"]


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("3 products: 1 done", "3 products: 1 done", True),
        ("3 products: 1 done", "3 products: 2 done", False),
        ("made at 2026-11-22T15:54:25Z (8 s ago)", "made at 2027-01-02T00:00:00Z (12.5 s ago)", True),
        ("S1A_…_D672.SAFE  done", "S1A_IW_SLC_D672.SAFE    done", True),
        ("S1A_…_D672.SAFE  done", "S1A_IW_SLC_D673.SAFE  done", False),
        ("…\nlast", "one\ntwo\nlast\n", True),
        ("…\nlast", "one\ntwo\nlast\nand more", False),
        ("a.b", "axb", False),
        ("", "something", False),
    ],
)
def test_words_and_counts_agree_exactly_times_need_not(shown, printed, same):
    assert Comparison().agrees(shown.split("\n") if shown else [], printed) is same


def test_on_a_screen_that_moves_counts_and_sizes_need_not_agree_either():
    shown, printed = ["  listing  ███░░  6/16  120.1 MB  ●●○○"], "  listing  █░  10/16  8 B  ●●●●"

    assert Comparison().agrees(shown, printed, moving=True)
    assert not Comparison().agrees(shown, printed)

    states = ["PRODUCTS  5 ready (40.0 MB)  6 done (120.1 MB)"]
    assert Comparison().agrees(states, "PRODUCTS  1 verifying (8 B)  4 downloading  7 done (9.0 MB)", moving=True)
    assert not Comparison().agrees(states, "PRODUCTS  1 vanished (8 B)", moving=True)


def test_keys_and_processes_are_known_again_by_later_commands():
    comparison = Comparison()

    assert comparison.agrees(["runs, pid 17834", "key 5EEB0B804E9A4B194781"], "runs, pid 12\nkey AAAAAAAAAAAAAAAAAAAA")
    assert comparison.actual("kill -9 17834 5EEB0B804E9A4B194781") == "kill -9 12 AAAAAAAAAAAAAAAAAAAA"
    assert not comparison.agrees(["pid 17834 died"], "pid 13 died")
