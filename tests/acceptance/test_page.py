"""The page in a real headless Chromium: one browser for all, one server with a report that each test chooses."""

import gzip
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests

from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import StateDiskError
from cdsed.model.operation import Pause
from cdsed.model.product_state import State
from cdsed.model.status_report import DaemonState, DaemonStatus, StatusReport
from cdsed.web.state_reader import StateReader
from tests.support.page_lab import TOKEN, ShownReader, full_report, make_million, make_state, page
from tests.support.webdriver import Browser, missing

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

_AXE = Path(__file__).parents[1] / "data" / "axe" / "axe-core-4.10.3.min.js.gz"
_READ = "return document.querySelector('#listings table') && !document.querySelector('#failure-list').matches(':empty')"


@dataclass
class Shown:
    """The browser at the page, and what it shows."""

    browser: Browser
    url: str
    reader: ShownReader

    def load(self, *, width: int = 1280, dark: bool = False) -> None:
        self.browser.show_as(width, 844, dark=dark, mobile=width < 500)
        self.browser.open(self.url)
        self.browser.wait("the page", _READ)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    running = Browser()
    yield running
    running.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ShownReader]]:
    settings = make_state(tmp_path_factory.mktemp("page"))
    reader = ShownReader(settings.state_dir)
    with page(settings, reader) as url:
        yield url, reader


@pytest.fixture
def shown(browser: Browser, server: tuple[str, ShownReader]) -> Shown:
    url, reader = server
    reader.fail(None)
    reader.show(full_report(SYSTEM_CLOCK.utc_s()))
    reader.full_disk()
    return Shown(browser, url, reader)


def test_it_shows_every_block_without_an_error_and_asks_no_other_host(shown: Shown) -> None:
    shown.load()
    browser = shown.browser
    browser.wait("the charts", "return document.querySelectorAll('.chart canvas').length === 2")
    browser.wait(
        "the map", "return document.querySelector('#map-text').innerText.startsWith('Footprints of 110 of 120')"
    )
    titles = browser.run("return [...document.querySelectorAll('main h2')].map((each) => each.innerText)")
    assert titles == [
        *("What needs you", "Listings", "In transfer", "Accounts", "Machines", "Throughput", "Failures"),
        *("Disks", "Pauses and limits", "Map"),
    ]
    text = browser.text("main")
    for expected in (
        *(
            "615 of 1\u202f815",
            "71 % of 1.0 GB",
            "60.1 MB/s",
            "first ×3",
            "its requests of this minute are used up, continues in",
        ),
        *("cannot be used:", "its S3 key has expired", "Corrupt: its bytes differ", "it is not mounted", "1.2 TB"),
        *(
            "The group brest is paused",
            "The machine may use 200.0 MB/s",
            "What to do: make room, mount it",
            "on disk 56",
        ),
    ):
        assert expected in text
    assert "148.0 MB/s" in browser.text("header")
    assert browser.console() == []
    asked = [url for url in browser.requests() if not url.startswith("chrome://")]  # pages of the browser itself
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith(shown.url)] == []


def test_machines_are_shown_with_their_losses_but_without_dask_there_is_no_such_block(shown: Shown) -> None:
    shown.load()
    text = shown.browser.text("#machines")
    for expected in ("2 of 4", "112.0 MB/s", "2 because a process died", "drained", "node9 does not see /data/spool"):
        assert expected in text
    shown.reader.show(replace(shown.reader.report, machines=()))
    shown.browser.wait("it is gone", "return document.querySelector('#machines').hidden")


def test_it_follows_the_state_and_keeps_the_last_one_with_its_age(shown: Shown) -> None:
    shown.load()
    browser = shown.browser
    browser.run("document.querySelector('[data-key=\"map-2\"]').focus()")
    report = shown.reader.report
    listings = (replace(report.listings[0], by_state={State.DONE: 700, State.QUEUED: 1115}), *report.listings[1:])
    shown.reader.show(replace(report, listings=listings, daemon=replace(report.daemon, state=DaemonState.DIED)))
    browser.wait("the change", "return document.querySelector('#listings').innerText.includes('700 of')")
    assert "The daemon died" in browser.text("#daemon")
    assert browser.run("return document.activeElement.dataset.key") == "map-2"
    assert browser.run("return document.querySelector('#news').textContent").startswith(
        "The daemon died. no account of group brest"
    )
    shown.reader.fail(StateDiskError("the disk of the state fails"))
    browser.wait("the error", "return document.querySelector('#age').innerText.includes('the disk of the state fails')")
    assert "700 of" in browser.text("#listings")
    assert "As of" in browser.text("#age")


def test_it_pauses_and_resumes_with_the_token(shown: Shown) -> None:
    shown.load()
    browser = shown.browser
    assert browser.run("return document.querySelector('#resume').disabled")
    browser.click("#pause")
    browser.keys(*"wrong", "\ue007")
    browser.wait(
        "the refusal", "return document.querySelector('#result').innerText.includes('token is missing or wrong')"
    )
    assert any("401" in line for line in browser.console())
    browser.click("#pause")
    browser.keys(*TOKEN, "\ue007")
    browser.wait("the pause", "return document.querySelector('#result').innerText === 'All transfers are paused.'")
    report = shown.reader.report
    shown.reader.show(replace(report, pauses=(Pause("all", "", "person", report.at, None),)))
    browser.wait(
        "the pause", "return document.querySelector('#pauses').innerText.includes('All transfers are paused, until')"
    )
    assert browser.run("return document.querySelector('#pause').disabled")
    assert "paused" in browser.text("#listings tbody tr")
    browser.click("#resume")
    browser.wait("the end", "return document.querySelector('#result').innerText === 'Transfers are resumed.'")
    assert browser.console() == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_phone_scrolls_in_one_direction_only_and_dark_is_dark(shown: Shown, dark: bool) -> None:
    shown.load(width=390, dark=dark)
    browser = shown.browser
    browser.wait("the map", "return document.querySelector('#map-text').innerText.startsWith('Footprints')")
    wide = (
        "return [...document.querySelectorAll('main *')].filter((e) => !e.closest('thead') && "
        "e.getBoundingClientRect().right > 391).map((e) => e.outerHTML.slice(0, 99))"
    )
    assert browser.run("return document.documentElement.scrollWidth") <= 390
    assert browser.run(wide) == []
    back = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in back[4:-1].split(",")) < 150) is dark


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)], ids=["desktop", "phone, dark"])
def test_axe_finds_nothing_to_complain_of(shown: Shown, width: int, dark: bool) -> None:
    shown.load(width=width, dark=dark)
    shown.browser.run(gzip.decompress(_AXE.read_bytes()).decode())
    found = shown.browser.run(
        "return axe.run({ resultTypes: ['violations'] }).then((done) => "
        "done.violations.map((each) => [each.id, each.nodes.map((node) => node.html)]))"
    )
    assert found == []


def test_the_keyboard_reaches_everything_in_the_order_of_the_page(shown: Shown) -> None:
    shown.load()
    browser = shown.browser
    order = []
    for _ in range(40):
        browser.keys("\ue004")
        name = browser.run("const e = document.activeElement; return e.dataset.key || e.id || e.innerText")
        if name in order or browser.run("return document.activeElement === document.body"):
            break
        order.append(name)
    assert order == [
        *(
            "Skip to the status",
            "map-1",
            "map-2",
            "map-3",
            "24 hours as a table",
            "30 days as a table",
            "older",
            "pause",
        ),
        *("map-listing", "map-states", "zoom-in", "zoom-out", "zoom-all", "map-canvas"),
        *("Status as JSON", "API", "Metrics"),
    ]
    browser.run("document.querySelector('#map-canvas').focus()")
    browser.keys("+", "\ue012")
    assert "S1A_IW_GRDH" in browser.text("#map-point")


def test_names_of_listings_are_text_and_never_html(shown: Shown) -> None:
    report = shown.reader.report
    evil = "<img src=x onerror=document.title='owned'>.txt"
    shown.reader.show(replace(report, listings=(replace(report.listings[0], name=evil),), why_idle=evil))
    shown.load()
    assert evil in shown.browser.text("#listings")
    assert shown.browser.run("return document.querySelectorAll('img').length") == 0
    assert "owned" not in shown.browser.run("return document.title")


def test_a_long_name_makes_no_page_wider_than_a_phone(shown: Shown) -> None:
    report, name = shown.reader.report, f"{'x' * 230}.txt"
    shown.reader.show(replace(report, listings=(replace(report.listings[0], name=name),), why_idle=name))
    shown.load(width=320)
    assert name in shown.browser.text("#listings")
    assert shown.browser.run("return document.documentElement.scrollWidth") == 320


def test_without_scripts_it_says_where_the_status_is(shown: Shown) -> None:
    page_text = requests.get(shown.url, timeout=20).text
    assert "<noscript>" in page_text
    assert "cdsed status" in page_text.partition("<noscript>")[2].partition("</noscript>")[0]


def test_without_a_state_it_says_what_to_do(shown: Shown) -> None:
    shown.reader.show(StatusReport(SYSTEM_CLOCK.utc_s(), DaemonStatus(DaemonState.NEVER)))
    shown.browser.show_as(1280, 844)
    shown.browser.open(shown.url)
    shown.browser.wait("the text", "return document.querySelector('#daemon').innerText.includes('No state exists yet')")
    assert "No listing yet" in shown.browser.text("#listings")
    assert shown.browser.console() == []


def test_a_million_products_are_painted_within_a_second_and_scraped_within_a_fifth(
    browser: Browser, tmp_path: Path
) -> None:
    settings = make_state(tmp_path)
    make_million(settings)
    with page(settings, StateReader(settings.state_dir, SYSTEM_CLOCK), None) as url:
        browser.show_as(1280, 844)
        painted_ms, scraped_s = [], []
        for _ in range(3):
            browser.open(url)
            browser.wait(
                "the products", "return document.querySelector('#totals').innerText.includes('1\u202f000\u202f060')"
            )
            painted_ms.append(browser.run("return performance.getEntriesByType('paint')[0].startTime"))
            begun_s = time.monotonic()
            metrics = requests.get(f"{url}metrics", timeout=20).text
            scraped_s.append(time.monotonic() - begun_s)
        assert 'cdsed_products{state="done"} 1000060' in metrics
        assert min(painted_ms) < 1000
        assert min(scraped_s) < 0.2
        assert browser.run("return document.querySelector('#controls').hidden")
        assert browser.console() == []
