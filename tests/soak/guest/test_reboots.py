"""Power cuts of a whole machine, ``CDSED_REBOOTS`` (3) of them: nothing is lost, doubled, half or charged."""

import os
import random
import time
from pathlib import Path

import pytest

from tests.soak.guest.image import why_not
from tests.soak.guest.lab import GuestLab, products, running
from tests.support.disk_state import dice_for
from tests.support.volatile_image import Survival

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(why_not()), reason=f"no machine under qemu here: {why_not()}"),
    pytest.mark.timeout(0),
]

_SURVIVALS: dict[Survival, int] = {"chance": 6, "prefix": 3, "none": 2, "all": 1}


def _until_a_moment(lab: GuestLab, dice: random.Random) -> str:
    """Wait until something is under way, and look on as people do."""
    lab.look()
    if dice.random() < 0.3:
        time.sleep(dice.uniform(0, 25))
        return "soon after the boot"
    lab.wait_for_bytes(dice.randrange(300_000, 4_000_000))
    lab.look()
    time.sleep(dice.uniform(0, 4))
    return "in transfer"


def test_no_reboot_loses_doubles_halves_or_charges_anything(tmp_path: Path) -> None:
    reboots = int(os.environ.get("CDSED_REBOOTS") or 3)
    seed = int(os.environ.get("CDSED_SOAK_SEED") or random.SystemRandom().randrange(10**9))
    print(f"\n{reboots} reboots, CDSED_SOAK_SEED={seed}", flush=True)
    with running(tmp_path) as lab:
        for number in range(1, reboots + 1):
            dice = dice_for(seed, "reboot", number)
            small = products(dice.randrange(3, 9), dice.randrange(10**9), dice.randrange(200_000, 1_200_000))
            lab.drop(f"listing-{number}.txt", *small, *products(1, dice.randrange(10**9), 8_000_000))
            moment = _until_a_moment(lab, dice)
            [survival] = dice.choices(list(_SURVIVALS), list(_SURVIVALS.values()))
            happened = lab.cut(survival, dice.randrange(2**32))
            print(f"{number:>3} {moment:<20} {happened}", flush=True)
            print(*(f"    FOUND {each}\n" for each in lab.verdicts.found), sep="", end="")
            print(f"    booted again in {lab.guest.boot():.0f} s", flush=True)
        lab.wait_for_reports()
        lab.judge_at_the_end()
