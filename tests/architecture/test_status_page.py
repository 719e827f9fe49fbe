"""The screens of the pages that no command is shown for are what the renderer prints."""

import re

import pytest

from cdsed.view.overview import overview
from cdsed.view.terminal import Canvas
from tests.architecture.sources import ROOT
from tests.support.status_examples import VIEWS


@pytest.mark.parametrize(
    ("page", "canvas", "count"),
    [("status.md", Canvas(80, 24), 5), ("many-machines.md", Canvas(98, 40), 1)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_page_shows_real_screens(page: str, canvas: Canvas, count: int) -> None:
    printed = ["\n".join(overview(view, canvas)) for view in VIEWS.values()]
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", (ROOT / "docs" / page).read_text("utf-8"), re.MULTILINE)
    shown = ["\n".join(line[4:] for line in block.strip("\n").split("\n")) for block in blocks]
    screens = [each for each in shown if re.match(r"[●·] cdsed 0\.2\.0|ACCOUNT", each)]
    assert len(screens) == count
    for each in screens:
        assert [screen for screen in printed if each in screen], each
