"""The JSON of the status agrees with the schema that is shipped: every kind of output, with something of everything."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from cdsed.model.listing import Counts, ListingHead, ReportRow
from cdsed.model.product_state import PathSource, Product, State
from cdsed.model.quota import Limit, QuotaWait
from cdsed.model.status_report import Event, FailedProduct, ObjectProgress
from cdsed.store.listings import Listing
from cdsed.view import as_json
from cdsed.view.status_view import FailedProducts, ListingDetails, ProductDetails, StatusView
from tests.support.cli_lab import ON_DISK, CliLab
from tests.support.status_examples import BUSY_REPORT, L1C, NOW, REPORTS, SLC, VIEWS, WEEK

SCHEMA = json.loads(files("cdsed.view").joinpath("status.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
HEAD = ListingHead(1, "week12.csv", "0" * 64, "default", 5, None, NOW, "jean")
PRODUCT = Product(
    *(1, SLC, State.DOWNLOADING, "default", 0, None, None, "/eodata/x", PathSource.CATALOGUE, None, 8_000_000_000),
    *(1, 2, True, "/data/spool", "/data/spool/.cdsed/x", None, "the connection broke", 7),
)
DETAILS = {
    "product": ProductDetails(
        PRODUCT,
        ObjectProgress(40, 10, 20),
        [Event(NOW, None, State.QUEUED, 0, None), Event(NOW + 2, State.QUEUED, State.RESOLVING, 0, "why")],
        12.0,
        QuotaWait(Limit.REQUESTS, NOW + 23),
    ),
    "listing": ListingDetails(
        Listing(HEAD, "open", "/inbox/.accepted/week12.csv", 3, Counts(accepted=3), None),
        WEEK,
        [ReportRow(4, L1C, "unavailable", None, None, 0, "not in the catalogue")],
        {"receipt": Path("/inbox/.accepted/week12.csv.receipt.txt")},
    ),
    "failed": FailedProducts(
        (FailedProduct(L1C, State.UNAVAILABLE, "NotInCatalogue", "not in the catalogue", 0, NOW),), 3
    ),
}


def printed(view: StatusView) -> Any:
    return json.loads(json.dumps(as_json.render(view)))


def wrong(document: Any) -> list[str]:
    """Return what the schema says of a document, by the kind that it has the most members of."""
    kind = next((name for name in ("product", "listing", "failed") if name in document), "")
    names = {"": "overview", "product": "of_product", "listing": "of_listing", "failed": "of_failed_products"}
    one = Draft202012Validator(
        {**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{names[kind]}"}]}, format_checker=FormatChecker()
    )
    return [each.message for error in one.iter_errors(document) for each in error.context or [error]]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$defs"]["overview"]["properties"]["schema"] == {"const": as_json.SCHEMA}


@pytest.mark.parametrize("name", VIEWS)
def test_the_overview_of_every_state_agrees_with_the_schema(name: str) -> None:
    document = printed(VIEWS[name])
    assert VALIDATOR.is_valid(document), wrong(document)


@pytest.mark.parametrize("kind", DETAILS)
def test_details_agree_with_the_schema(kind: str) -> None:
    document = printed(StatusView(Path("/s"), BUSY_REPORT, details=DETAILS[kind]))
    assert kind in document
    assert VALIDATOR.is_valid(document), wrong(document)


def test_what_the_program_prints_agrees_with_the_schema(used_cli_lab: CliLab) -> None:
    for arguments in ([], ["storm.txt"], [ON_DISK], ["--failed"], ["--failed", "storm.txt", "--limit", "1"]):
        document = json.loads(used_cli_lab.cdsed("status", "--json", *arguments).stdout)
        assert VALIDATOR.is_valid(document), wrong(document)


def test_a_member_that_the_schema_does_not_describe_is_noticed() -> None:
    document = printed(VIEWS["busy"])
    assert not VALIDATOR.is_valid(document | {"new": 1})
    assert not VALIDATOR.is_valid({key: value for key, value in document.items() if key != "alarms"})
    document["transfers"][0]["size_bytes"] = "large"
    assert not VALIDATOR.is_valid(document)


def test_the_examples_have_something_of_everything() -> None:
    """An empty list agrees with any schema."""
    documents = [printed(replace(VIEWS["busy"], report=report)) for report in REPORTS.values()]
    lists = {key for document in documents for key, value in document.items() if isinstance(value, list)}
    assert {key for key in lists if not any(document[key] for document in documents)} == set()
    optional = {"stalled_for_s", "last_published", "oldest_waiting", "eta", "quota_wait", "why_idle"}
    assert {key for key in optional if not any(document[key] for document in documents)} == set()
