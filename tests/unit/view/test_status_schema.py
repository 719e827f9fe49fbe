"""The JSON of the status agrees with the schema that is shipped: every kind of output, with something of everything."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from cdsed.view import as_json
from cdsed.view.status_view import StatusView
from tests.support.cli_lab import ON_DISK, CliLab
from tests.support.status_examples import BUSY_REPORT, DETAILS, REPORTS, VIEWS

SCHEMA = json.loads(files("cdsed.view").joinpath("status.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())


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
