"""The lock files hold all that is installed, for every supported Python: judged without the network."""

import importlib.metadata
import json
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from tests.packaging.lock import FILES, PYTHONS, RECORD, ROOT, Pin, pinned_for, problems, project, read_pins
from tests.packaging.lock import wanted_by_project as wanted

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def pins_of(what: str) -> list[Pin]:
    return read_pins((ROOT / FILES[what]).read_text("utf-8"))


def found(what: str, pins: Sequence[Pin], record: dict[str, Any] | None = None) -> list[str]:
    known = json.loads(RECORD.read_text("utf-8")) if record is None else record
    return [each for python in PYTHONS for each in problems(pins, wanted(what, project()), known, python)]


@pytest.mark.parametrize("what", FILES)
def test_a_lock_pins_what_the_project_asks_for_and_all_that_it_needs_and_nothing_else(what):
    assert found(what, pins_of(what)) == []


@pytest.mark.parametrize("what", FILES)
def test_each_pin_that_is_left_out_is_missed(what):
    pins = pins_of(what)

    on_linux = {pin.name for python in PYTHONS for pin in pinned_for(pins, python).values()}
    missed = {pin.name for pin in pins if found(what, [each for each in pins if each.name != pin.name])}

    assert missed == on_linux


def test_a_requirement_behind_an_extra_is_missed():
    pins = [pin for pin in pins_of("test") if pin.name != "mypy-boto3-s3"]

    assert "requires mypy-boto3-s3" in found("test", pins)[0]


def test_a_pin_that_only_some_pythons_get_is_missed_on_the_others():
    pins = [pin for pin in pins_of("run") if str(pin.requirement.marker) != 'python_full_version < "3.12"']

    assert {each.partition(":")[0] for each in found("run", pins)} == {"Python 3.11"}


def test_a_pin_that_breaks_a_requirement_is_found():
    record = json.loads(RECORD.read_text("utf-8"))
    record["boto3==" + next(pin.version for pin in pins_of("run") if pin.name == "boto3")]["requires"] = ["botocore<1"]

    assert any("requires botocore<1, but botocore==" in each for each in found("run", pins_of("run"), record))


@pytest.mark.parametrize("what", FILES)
def test_every_file_that_a_pin_may_install_has_its_hash_in_the_lock(what):
    record = json.loads(RECORD.read_text("utf-8"))
    for pin in pins_of(what):
        if any(pin in pinned_for(pins_of(what), python).values() for python in PYTHONS):
            files = record[str(pin)]["files"]
            assert files
            assert files.keys() <= pin.hashes, pin


def test_no_two_locks_differ_about_a_version():
    versions: dict[tuple[str, str], set[str]] = {}
    for what in FILES:
        for pin in pins_of(what):
            versions.setdefault((pin.name, str(pin.requirement.marker)), set()).add(pin.version)

    assert {name: each for name, each in versions.items() if len(each) > 1} == {}


def test_the_record_says_of_what_is_installed_here_what_its_own_metadata_says():
    record = json.loads(RECORD.read_text("utf-8"))
    compared = 0
    for what in FILES:
        for pin in pinned_for(pins_of(what), HERE).values() if HERE in PYTHONS else ():
            installed = importlib.metadata.distribution(pin.name)
            assert installed.version == pin.version
            assert len(installed.requires or ()) == len(record[str(pin)]["requires"]), pin
            compared += 1
    assert compared or HERE not in PYTHONS


def test_the_supported_pythons_are_those_that_the_project_says():
    declared = [each.rpartition(" :: ")[2] for each in project()["project"]["classifiers"] if " :: 3." in each]

    assert tuple(declared) == PYTHONS
    assert all(python in SpecifierSet(project()["project"]["requires-python"]) for python in PYTHONS)
