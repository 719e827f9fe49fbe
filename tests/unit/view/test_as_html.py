from dataclasses import replace
from html.parser import HTMLParser

import pytest

from cdsed.view import as_html
from tests.support.status_examples import BUSY_REPORT, VIEWS, WEEK, account

VOID = {"br"}


class Tags(HTMLParser):
    """Remembers the tags, the attributes and the text, and whether every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "


@pytest.mark.parametrize("name", VIEWS)
def test_every_state_is_html_that_needs_nothing_from_elsewhere(name: str) -> None:
    html = as_html.render(VIEWS[name])
    tags = Tags(html)
    assert tags.open == []
    assert not tags.names & {"script", "img", "link", "iframe"}
    assert not tags.attributes & {"src", "href", "onload"}
    assert "url(" not in html
    assert "background:#fff" not in html, "a dark notebook stays dark"


def test_it_shows_progress_transfers_accounts_and_alarms() -> None:
    text = Tags(as_html.render(VIEWS["one_dead"])).text
    for words in (
        "412/1 800",
        "13:12Z (requests)",
        "60.1 MB/s",
        "default/second",
        "✕✕✕✕",
        "account second: its S3 key",
    ):
        assert words in text


def test_no_name_becomes_html() -> None:
    hostile = "<script>alert(1)</script>"
    report = replace(
        BUSY_REPORT,
        listings=(replace(WEEK, name=hostile, group=hostile),),
        accounts=(account(hostile, error=hostile, error_code=hostile),),
        transfers=(replace(BUSY_REPORT.transfers[0], safename=hostile, accounts=(hostile,)),),
        why_idle=hostile,
    )
    html = as_html.render(replace(VIEWS["busy"], report=report))
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_many_rows_are_counted() -> None:
    assert "and 10 more" in as_html.render(VIEWS["many"])
