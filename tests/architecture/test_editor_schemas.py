"""The shipped JSON Schemas are those of the settings, and agree with what `cdsed config check` accepts."""

import json
from typing import Any

import jsonschema
import pytest
import yaml

from cdsed.config.new_files import accounts_text, settings_text
from cdsed.config.schema import FileKind, schema_text
from tests.architecture.configuration_page import COMMENTED, EXAMPLES, example
from tests.architecture.sources import ROOT


def _problems(kind: FileKind, content: Any) -> list[str]:
    validator = jsonschema.Draft202012Validator(json.loads(kind.shipped.read_text("utf-8")))
    return [error.message for error in validator.iter_errors(content)]


@pytest.mark.parametrize("kind", FileKind)
def test_what_is_shipped_is_what_the_settings_say(kind):
    assert kind.shipped.read_text("utf-8") == schema_text(kind), "run: make docs"
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text(kind)))


def test_the_examples_and_new_files_are_valid():
    assert _problems(FileKind.SETTINGS, yaml.safe_load(COMMENTED.read_text("utf-8"))) == []
    for key in EXAMPLES:
        assert _problems(FileKind.SETTINGS, example(key)) == [], key
    assert _problems(FileKind.SETTINGS, yaml.safe_load(settings_text({"default_group": "lab"}))) == []
    assert _problems(FileKind.ACCOUNTS, yaml.safe_load(accounts_text("lab"))) == []
    accounts = yaml.safe_load((ROOT / "etc/accounts.example.yml").read_text("utf-8"))
    dates_as_editors_see_them = json.loads(json.dumps(accounts, default=str))
    assert _problems(FileKind.ACCOUNTS, dates_as_editors_see_them) == []


@pytest.mark.parametrize(
    "content",
    [
        {"colour": "blue"},
        {"disk": {"free_bytes_min": "5 potatoes"}},
        {"transfer": {"proceses": 4}},
        {"spools": "/data"},
        {"log_level": "LOUD"},
    ],
)
def test_what_the_settings_refuse_is_refused(content):
    assert _problems(FileKind.SETTINGS, content)


def test_an_empty_section_and_sizes_as_people_write_them_are_valid():
    assert _problems(FileKind.SETTINGS, {"transfer": None, "disk": {"free_bytes_min": "5GB"}}) == []
    assert _problems(FileKind.SETTINGS, {"disk": {"free_bytes_min": 10}}) == []
