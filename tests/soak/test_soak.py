"""Hours of random faults and kills; the seed is printed and can be given again as ``CDSED_SOAK_SEED``."""

import os
import random
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import KINDS, realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_ROUND_PRODUCTS = 60
_FAULTS = [
    {"kind": "throttle", "retry_after_s": 1},
    {"kind": "internal_error"},
    {"kind": "slow_down"},
    {"kind": "reset", "after_bytes": 300_000},
    {"kind": "short_body"},
    {"kind": "wrong_bytes", "method": "GET"},
    {"kind": "xml_body"},
    {"kind": "forbidden", "code": "InvalidAccessKeyId"},
    {"kind": "changed_etag"},
]


@pytest.mark.soak
def test_nothing_is_lost_doubled_half_published_or_overbooked(tmp_path: Path) -> None:
    minutes = float(os.environ.get("CDSED_SOAK_MINUTES", "60"))
    seed = int(os.environ.get("CDSED_SOAK_SEED", str(random.SystemRandom().randrange(10**9))))
    print(f"\nsoak: {minutes:g} minutes, seed {seed}")
    dice = random.Random(seed)
    until_s = time.monotonic() + 60 * minutes
    told: Counter[str] = Counter()
    with SandboxProcess(make_accounts(2, seed=1, bandwidth_bytes_per_s=4_000_000)) as sandbox:
        lab = Installation(tmp_path, sandbox, retry={"attempts": 50})
        with DaemonProcess(lab) as daemon:
            while time.monotonic() < until_s:
                _round(lab, daemon, dice, told)
        accounts = sandbox.counters()["accounts"].values()
        told["bytes"] = sum(account["bytes"] for account in accounts)
        told["faults"] = sum(sandbox.counters()["faults"].values())
        told["overbooked"] = sum(account["open_max"] > 4 for account in accounts)
    for what in ("products", "bytes", "faults", "kills of workers", "kills of the supervisor", "overbooked"):
        print(f"{what:<26}{told[what]:>16,}")
    assert told["overbooked"] == 0


def _round(lab: Installation, daemon: DaemonProcess, dice: random.Random, told: Counter[str]) -> None:
    """Fetch some products while things break, then compare every byte, and make room for the next round."""
    number = told["rounds"]
    per_kind = _ROUND_PRODUCTS // len(KINDS)
    names = [name for kind in KINDS for name in realistic_safenames(kind, per_kind, seed=dice.randrange(10**9))]
    lab.sandbox.add_products(*({"safename": name, "size_bytes": dice.randrange(10_000, 9_000_000)} for name in names))
    lab.drop(f"round-{number}.txt", names)
    while lab.report(f"round-{number}.txt") is None:
        time.sleep(dice.uniform(0.1, 2.0))  # the moment is meant to be any moment
        _break_something(lab, daemon, dice, told)
        if told["broken"] > 40 * (number + 1):  # then let it come to an end
            lab.sandbox.clear_faults()
            report = f"round-{number}.txt"
            wait_until("the round is reported", lambda name=report: lab.report(name), 300, daemon=daemon)
    lab.sandbox.clear_faults()
    states = Counter(lab.states(f"round-{number}.txt").values())
    assert states == {"done": len(names)}, states
    assert lab.differences(names) == []
    for name in names:
        path = lab.spool / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    told["products"] += len(names)
    told["rounds"] += 1


def _break_something(lab: Installation, daemon: DaemonProcess, dice: random.Random, told: Counter[str]) -> None:
    told["broken"] += 1
    choice = dice.random()
    if not daemon.running():
        daemon.start()
    elif choice < 0.5:
        lab.sandbox.fault(**dice.choice(_FAULTS), times=dice.randrange(1, 4))
    elif choice < 0.9:
        if pids := daemon.worker_pids():
            told["kills of workers"] += 1
            _kill(dice.choice(pids))
    else:
        told["kills of the supervisor"] += 1
        daemon.kill()
        daemon.start()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
