from dataclasses import replace
from pathlib import Path

from cdsed.model.operation import FailedProduct
from cdsed.model.product_state import State
from cdsed.model.status_report import Event, ObjectProgress
from cdsed.view import text
from cdsed.view.status_view import FailedProducts, ListingDetails, ProductDetails, StatusView
from cdsed.view.terminal import Canvas, columns
from tests.support.status_examples import BUSY_REPORT, DETAILS, L1C, NOW, PRODUCT, SLC

EVENTS = [
    Event(NOW - 100, None, State.QUEUED, 0, None),
    Event(NOW - 90, State.QUEUED, State.RESOLVING, 0, None),
    Event(NOW - 80, State.RESOLVING, State.READY, 0, None),
    Event(NOW - 79, State.READY, State.RETRY_WAIT, 1, "the connection broke"),
]


def shown(details: object, canvas: Canvas | None = None) -> list[str]:
    return text.render(StatusView(Path("/s"), BUSY_REPORT, details=details), canvas or Canvas())  # type: ignore[arg-type]


def timeline(product: object, events: list[Event]) -> list[str]:
    lines = shown(ProductDetails(product, ObjectProgress(0, 0, 0), events, None))  # type: ignore[arg-type]
    return lines[lines.index("History") + 1 :]


def test_the_history_of_a_product_is_a_timeline_with_durations() -> None:
    assert timeline(PRODUCT, EVENTS) == [
        "  2027-01-15T07:58:20Z  queued           10 s            █░░░░░░░░░░░",
        "  2027-01-15T07:58:30Z  resolving        10 s            █░░░░░░░░░░░",
        "  2027-01-15T07:58:40Z  ready            1 s             ░░░░░░░░░░░░",
        "  2027-01-15T07:58:41Z  retry_wait       1 min 19 s so far  ████████████",
        "      the connection broke",
    ]


def test_a_listing_whose_content_came_again_says_where_its_products_are_counted() -> None:
    example = DETAILS["listing"]
    assert isinstance(example, ListingDetails)
    replaced = replace(
        example,
        listing=replace(example.listing, state="reported"),
        progress=replace(example.progress, by_state={}),
    )
    [line] = [each for each in shown(replaced) if each.startswith("  products ")]
    assert line == "  products  counted in a later listing, which has the same content"


def test_a_finished_state_has_no_duration() -> None:
    done = [*EVENTS[:3], Event(NOW - 70, State.DOWNLOADING, State.DONE, 0, None)]
    assert timeline(replace(PRODUCT, state=State.DONE), done)[-1] == "  2027-01-15T07:58:50Z  done"


def test_failed_products_are_grouped_by_cause_with_what_to_do_and_what_is_left_out() -> None:
    products = (
        FailedProduct(SLC, State.CORRUPT, "VerificationFailed", "two copies were alike", 2, NOW - 60),
        FailedProduct(L1C, State.UNAVAILABLE, "NotInCatalogue", "not in the catalogue", 0, NOW - 90),
        FailedProduct(f"X{L1C}", State.UNAVAILABLE, "NotInCatalogue", None, 0, NOW - 7200),
    )
    assert shown(FailedProducts(products, 1203)) == [
        "1 203 failed products, the latest first",
        "corrupt  VerificationFailed",
        "  Report the product to CDSE, and `cdsed retry --corrupt` when it is replaced",
        f"  {SLC}  1 min ago  2 attempts",
        "      two copies were alike",
        "unavailable  NotInCatalogue",
        "  Check the spelling of the name. If the product is new, `cdsed retry --unavailable` later",
        f"  {L1C}   1 min 30 s ago",
        "      not in the catalogue",
        f"  X{L1C}         2 h ago",
        "and 1 200 more: add --limit",
    ]
    narrow = shown(FailedProducts(products, 1203), Canvas(40, 24))
    assert max(map(columns, narrow)) <= 40
    assert shown(FailedProducts((), 0, "a.txt")) == ["No product of a.txt has failed"]
