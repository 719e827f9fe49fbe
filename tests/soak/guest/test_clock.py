"""Boots with a hardware clock that is years behind, or years ahead, until somebody sets it right."""

import time
from pathlib import Path

import pytest

from tests.soak.guest.image import why_not
from tests.soak.guest.lab import products, running

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(why_not()), reason=f"no machine under qemu here: {why_not()}"),
    pytest.mark.timeout(0),
]

_CLOCKS = ("2006-01-01T00:00:00", "2035-06-01T00:00:00")
_AT_ONCE_S = 120


def test_no_product_waits_for_years_after_a_boot_with_a_wrong_clock(tmp_path: Path) -> None:
    with running(tmp_path) as lab:
        for number, clock in enumerate(_CLOCKS):
            lab.drop(f"before-{number}.txt", *products(3, 20 + number, 6_000_000))
            lab.wait_for_bytes()
            print(lab.cut("chance", number), flush=True)
            lab.guest.boot(clock)
            lab.drop(f"wrong-{number}.txt", *products(2, 30 + number, 2_000_000))
            time.sleep(30)
            there = lab.guest.run("date", "--iso-8601=seconds").strip()
            said = [alarm["text"] for alarm in lab.status()["alarms"]]
            print(f"clock {clock}: {there}; status: {said}", flush=True)
            lab.guest.run("date", "--set", f"@{time.time():.0f}")
            lab.wait_for_bytes(500_000, _AT_ONCE_S)
            lab.wait_for_reports()
        lab.judge_at_the_end()
