"""Power cuts on disks with volatile caches (``CDSED_POWER_CUTS``, ``CDSED_SOAK_SEED``): `make soak-machine`.

Two controls come first: a careless program, and cdsed without its syncs, have to be found broken by the same judge.
"""

import os
import random
from pathlib import Path

import pytest

from tests.soak.power.alone import lines_of, why_not

_BUILD = Path(__file__).parents[3] / "build"

pytestmark = [pytest.mark.soak, pytest.mark.skipif(bool(why_not()), reason=f"no power can be cut here: {why_not()}")]


def _run(module: str, *arguments: str) -> list[str]:
    """Run a module, print what it prints, and return that with its exit code in the last line."""
    print()
    lines = []
    for line in lines_of(f"tests.soak.power.{module}", *arguments):
        print(line, end="", flush=True)
        lines.append(line.rstrip())
    return lines


def test_a_careless_program_is_found_broken_on_every_file_system():
    lines = _run("control")
    assert lines[-1] == "exit 0", "\n".join(lines)


def test_the_calls_that_should_bring_bytes_onto_the_platter_do_so():
    lines = _run("which_syncs")
    assert lines[-1] == "exit 0", "\n".join(lines)


def test_cdsed_without_its_syncs_is_found_broken():
    lines = _run("campaign", "1", "4", "--without-syncs")
    assert lines[-1] == "exit 1"
    wrong = ("FOUND lost", "FOUND zero-filled", "FOUND damaged states")  # without a state nothing is known to be lost
    assert [line for line in lines if line.startswith(wrong)], "\n".join(lines)


def test_no_power_cut_loses_doubles_halves_or_charges_anything():
    cuts = os.environ.get("CDSED_POWER_CUTS") or "20"
    seed = os.environ.get("CDSED_SOAK_SEED") or str(random.SystemRandom().randrange(10**9))
    print(f"\n{cuts} power cuts, CDSED_SOAK_SEED={seed}", flush=True)
    lines = _run("campaign", seed, cuts)
    _BUILD.mkdir(exist_ok=True)
    (_BUILD / "soak-machine.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")
    assert lines[-1] == "exit 0", "\n".join(lines)
