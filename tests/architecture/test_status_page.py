"""The screens of docs/status.md that no command is shown for are what the renderer prints."""

import re

from cdsed.view.overview import overview
from cdsed.view.terminal import Canvas
from tests.architecture.sources import ROOT
from tests.support.status_examples import VIEWS

_EIGHTY_COLUMNS = {name: "\n".join(overview(view, Canvas(80, 24))) for name, view in VIEWS.items()}


def test_the_page_shows_real_screens():
    page = (ROOT / "docs/status.md").read_text("utf-8")
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", page, re.MULTILINE)
    shown = ["\n".join(line[4:] for line in block.strip("\n").split("\n")) for block in blocks]
    screens = [each for each in shown if re.match(r"[●·] cdsed 0\.2\.0|ACCOUNT", each)]
    assert len(screens) == 5
    for each in screens:
        assert [name for name, screen in _EIGHTY_COLUMNS.items() if each in screen], each
