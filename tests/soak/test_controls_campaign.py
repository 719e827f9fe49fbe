"""Random commands of two operators and kills at random moments: nothing is lost, doubled, half-published or overbooked.

The seed (``CDSED_CONTROLS_SEED``) decides the commands and their order, and is printed. ``CDSED_CONTROLS_ROUNDS``: how
many rounds of commands, 100 by default. After every fifteenth round everything is resumed and checked, and the state
is lost now and then.
"""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cdsed.model.choice import Choice
from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.invariants import Eye, found_by_the_checker, leftovers, overbooked
from tests.support.sandbox import SandboxProcess

_KINDS = {"S1_GRD": 8, "S2_L1C": 4, "S5P": 2, "S3": 2}
_SIZE_BYTES = 1_500_000
_FIRST_LINES = (
    "",
    "",
    "# cdsed: layout={mission}/{year}/{month}",
    "# cdsed: include=*-vv-*,MTD*",
    "# cdsed: exclude=preview,*-ql.jpg,*.png",
    "# cdsed: include=measurement,IMG_DATA layout={unit}/{doy}",
    "# cdsed: priority=7",
    "# cdsed: exclude=*",
)
_LISTINGS = ("all", "week one.txt", "odd[1].txt", "naïve;list.csv", "S1A_IW_GRDH.SAFE.txt", "-dash.txt", "plain.txt")
_HOOK = """#!/bin/sh
cat >> {log}
echo >> {log}
"""


class Operators:
    """Drop listings, give commands, two at a time now and then, and kill what runs."""

    def __init__(self, lab: Installation, daemon: DaemonProcess, names: list[str], dice: random.Random) -> None:
        self.lab, self.daemon, self.names, self.dice = lab, daemon, names, dice
        self.dropped = 0
        self.history: list[str] = []
        self._spawned: list[subprocess.Popen[bytes]] = []

    def act(self) -> None:
        """Do one thing."""
        deeds = {
            self.drop: 5,
            self.command: 10,
            self.two_commands: 4,
            self.killed_command: 2,
            self.kill: 5,
            self.take_away: 3,
            self.wait: 6,
        }
        [deed] = self.dice.choices(list(deeds), list(deeds.values()))
        deed()

    def drop(self) -> None:
        name = self.dice.choice(_LISTINGS)
        first = self.dice.choice(_FIRST_LINES)
        some = self.dice.sample(self.names, self.dice.randint(1, 6))
        self.dropped += 1
        name = name if self.dice.random() < 0.5 else f"{self.dropped}{name}"
        self.history.append(f"drop {name!r} {first!r} {len(some)}")
        self.lab.drop(name, [first, *some] if first else some)

    def arguments(self) -> list[str]:
        """Return a random command."""
        dice = self.dice
        product, listing = dice.choice(self.names), dice.choice(_LISTINGS)
        target = dice.choice([product, product, listing, "*", "S1*", "nothing*", "?*.txt", product[:40] + "*"])
        if target.startswith("-"):
            target = "*dash.txt"
        pausing = dice.choice(
            [
                [],
                ["all"],
                ["listing", "*"],
                ["account", dice.choice(["sandbox-1", "*", "sandbox-2"])],
                ["group", "default"],
                ["disk", str(self.lab.spool)],
                ["disk", str(self.lab.root / "second")],
            ]
        )
        return dice.choice(
            [
                ["pause", *pausing],
                ["pause", *pausing, "--for", "2s"],
                ["resume", *pausing],
                ["resume", *pausing],
                ["cancel", target, "--yes"],
                ["cancel", target, "--yes"],
                ["retry", "--state", "cancelled"],
                ["retry", "--all"],
                ["retry", product],
                ["priority", target, dice.choice(["+5", "=1000", "+1000", "=0"])],
                ["refetch", target, "--yes"],
                ["refetch", product, "--yes"],
                ["refetch", product, "--yes"],
                ["drain"],
                ["drain", "sandbox-1"],
                ["resume"],
                ["explain", product],
                ["status"],
                ["missing", "--help"],
            ]
        )

    def start(self, arguments: list[str]) -> "subprocess.Popen[bytes]":
        self.history.append(" ".join(arguments))
        environ = {**os.environ, "CDSED_CONFIG": str(self.lab.config)}
        log = (self.lab.root / "commands.log").open("ab")
        log.write(f"$ {' '.join(arguments)}\n".encode())
        log.flush()
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", "cdsed", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
            )

    def command(self) -> None:
        code = self.start(self.arguments()).wait(300)
        assert code in (0, 1, 3, 64), (code, self.history[-3:])

    def two_commands(self) -> None:
        for process in [self.start(self.arguments()), self.start(self.arguments())]:
            code = process.wait(300)
            assert code in (0, 1, 3, 64), (code, self.history[-3:])

    def killed_command(self) -> None:
        process = self.start(self.arguments())
        time.sleep(self.dice.uniform(0.2, 1.2))
        process.kill()
        process.wait(10)

    def kill(self) -> None:
        what = self.dice.choice(["download", "download", "intake", "resolve", "hooks", "supervisor", "everything"])
        self.history.append(f"kill {what}")
        if what == "supervisor":
            self.daemon.kill()
        elif what == "everything":
            self.daemon.kill_all()
        elif pids := self.daemon.worker_pids(what):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.dice.choice(pids), signal.SIGKILL)
        if what in ("supervisor", "everything"):
            self.daemon.start()

    def take_away(self) -> None:
        """Remove a published product, as its owner would."""
        rows = self.lab.query("SELECT path FROM product WHERE state = 'done' AND path IS NOT NULL")
        if rows:
            self.history.append("remove some")
        for row in self.dice.sample(rows, min(3, len(rows))):
            path = Path(row["path"])
            with contextlib.suppress(OSError):
                gone = path.with_name(f".gone-{path.name}")
                path.rename(gone)
                shutil.rmtree(gone) if gone.is_dir() else gone.unlink()

    def wait(self) -> None:
        time.sleep(self.dice.uniform(0.1, 1.5))


def _rest(operators: Operators, eye: Eye) -> list[str]:
    """Undo every pause, let everything end, and return what is wrong."""
    lab, daemon = operators.lab, operators.daemon
    for undo in (
        ["all"],
        ["listing", "*"],
        ["account", "*"],
        ["group", "*"],
        ["disk", str(lab.spool)],
        ["disk", str(lab.root / "second")],
    ):
        lab.command("resume", *undo, timeout_s=300)
    try:
        wait_until("all is taken", lambda: not [p for p in lab.inbox.glob("[!.]*") if p.is_file()], 300, daemon=daemon)
        wait_until("all is finished", lambda: not lab.query(_UNFINISHED), 300, daemon=daemon)
        wait_until("all is reported", lambda: not lab.query(_UNREPORTED), 300, daemon=daemon)
    except AssertionError:
        print(lab.query(_UNFINISHED), lab.query("SELECT * FROM pause"), lab.query("SELECT * FROM drain"))
        print(lab.query(_UNREPORTED))
        print(lab.command("status").stdout)
        raise
    # A product that is entered from a report after the state was lost begins with its end.
    found = [
        *(each for each in eye.broken() if ": None -> " not in each),
        *found_by_the_checker(lab),
        *_wrong_products(lab),
        *overbooked(lab.sandbox),
    ]
    with contextlib.suppress(AssertionError):
        wait_until("it is tidy", lambda: not leftovers(lab), 90)
    found += [f"{name} is left in staging" for name in leftovers(lab)]
    found += _not_hooked(lab)
    return found


_UNFINISHED = """
SELECT safename, state, cause, held, cancels FROM product
WHERE state IN ('queued', 'resolving', 'ready', 'downloading', 'verifying', 'retry_wait')
"""
_UNREPORTED = "SELECT name, state, cancelled_at FROM listing WHERE state IN ('taking', 'open')"


def _lose_state(operators: Operators) -> None:
    """Remove the state while the daemon is stopped, with or without its backups."""
    lab, daemon = operators.lab, operators.daemon
    operators.history.append("lose the state")
    daemon.terminate()
    daemon.wait(120)
    for path in lab.state.glob("cdsed.sqlite*"):
        path.unlink()
    if operators.dice.random() < 0.5:
        shutil.rmtree(lab.state / "backups", ignore_errors=True)
    daemon.start()
    wait_until("the state is recovered", lambda: lab.query("SELECT 1 FROM process"), 300, daemon=daemon)


def _wrong_products(lab: Installation) -> list[str]:
    found = []
    rows = lab.query("SELECT safename, state, path, partial, choice, cause FROM product")
    for row in rows:
        name, path = row["safename"], row["path"] and Path(row["path"])
        # A report names no code, so one that is entered from it after a loss of the state has only its cause.
        nothing_chosen = re.fullmatch(r"none of its \d+ files fits .*", row["cause"] or "")
        if row["state"] in ("failed", "corrupt", "unavailable") and not nothing_chosen:
            found.append(f"{name} is {row['state']}: {row['cause']}")
        if row["state"] in ("done", "already_present"):
            if not path.exists():
                continue
            if ("/partial/" in str(path)) != bool(row["partial"]):
                found.append(f"{name}: partial is {row['partial']} at {path}")
            if not row["partial"]:
                found += lab.differences([name], path.parent)
            elif row["choice"] is None:
                found.append(f"{name}: in part, and all of it is wanted")
            else:
                found += [f"part: {each}" for each in _part_differs(lab, name, path, row["choice"])]
    for row in lab.query(_WHOLE_WANTED):
        found.append(f"{row['name']} wants all of {row['safename']}, which is {row['state']} in part")
    everywhere = [path for spool in (lab.spool, lab.root / "second") for path in spool.rglob("*")]
    tops = [path for path in everywhere if path.name in {row["safename"] for row in rows}]
    whole = [path.name for path in tops if "/partial/" not in str(path) and "/.cdsed" not in str(path)]
    found += [f"{name} is there twice" for name in {each for each in whole if whole.count(each) > 1}]
    return found


_PUBLISHED = "SELECT DISTINCT safename FROM event JOIN product ON product.id = event.product WHERE target = 'done'"
# Of a listing that was reported before only the last report counts.
_WHOLE_WANTED = """
SELECT listing.name, safename, product.state FROM want JOIN listing ON listing.id = want.listing
JOIN product ON product.id = want.product
WHERE listing.choice IS NULL AND product.partial = 1 AND product.state IN ('done', 'already_present')
  AND listing.id = (SELECT max(listing) FROM want AS other WHERE other.product = product.id)
"""


def _part_differs(lab: Installation, name: str, path: Path, choice: str) -> list[str]:
    chosen = Choice.from_json(choice)
    truth = {
        each for each in lab.sandbox.truth(name) if each == "manifest.safe" or chosen is None or chosen.wants(each)
    }
    there = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()} - {"cdsed-partial.json"}
    missing = truth - there
    return [f"{name} lacks {sorted(missing)[:3]} of {choice}"] if missing else []


def _not_hooked(lab: Installation) -> list[str]:
    def lacking() -> set[str]:
        log = lab.root / "hooked.log"
        text = log.read_text(encoding="utf-8") if log.exists() else ""
        published = lab.query(_PUBLISHED)
        return {row["safename"] for row in published if row["safename"] not in text}

    with contextlib.suppress(AssertionError):
        wait_until("every event is given", lambda: not lacking(), 60)
    return [f"no hook got {name}" for name in lacking()]


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_commands_of_two_operators_and_kills_leave_nothing_wrong(tmp_path: Path) -> None:
    seed = int(os.environ.get("CDSED_CONTROLS_SEED", str(random.SystemRandom().randrange(10**6))))
    rounds = int(os.environ.get("CDSED_CONTROLS_ROUNDS", "100"))
    print(f"CDSED_CONTROLS_SEED={seed}")
    dice = random.Random(seed)
    names = [name for kind, count in _KINDS.items() for name in realistic_safenames(kind, count, seed=seed)]
    with SandboxProcess(make_accounts(2, seed=1, bandwidth_bytes_per_s=400_000)) as sandbox:
        sandbox.add_products(*({"safename": name, "size_bytes": _SIZE_BYTES} for name in names))
        root = tmp_path / "lab"
        root.mkdir()
        program = root / "hook.sh"
        program.write_text(_HOOK.format(log=root / "hooked.log"), encoding="utf-8")
        program.chmod(0o755)
        hooks: list[dict[str, Any]] = [{"name": "log", "events": ["product_published"], "command": [str(program)]}]
        spools = [root / "spool", root / "second"]
        spools[1].mkdir()
        lab = Installation(root, sandbox, transfer={"processes": 3}, hooks=hooks, spools=[str(each) for each in spools])
        eye = Eye(lab.state)
        with DaemonProcess(lab) as daemon:
            wait_until("it is at work", lambda: lab.query("SELECT 1 FROM process"), daemon=daemon)
            operators = Operators(lab, daemon, names, dice)
            operators.drop()
            for number in range(1, rounds + 1):
                operators.act()
                if not daemon.running():
                    daemon.start()
                if number % 15 == 0:
                    found = _rest(operators, eye)
                    if not found and dice.random() < 0.5:
                        _lose_state(operators)
                        eye = Eye(lab.state)
                        found = _rest(operators, eye)
                    states = lab.query("SELECT state, partial, count(*) AS n FROM product GROUP BY 1, 2")
                    print(number, [tuple(row.values()) for row in states], flush=True)
                    assert not found, ("\n".join(found), operators.history[-12:])
        assert "Traceback" not in daemon.log()
        assert "Traceback" not in (root / "commands.log").read_text(encoding="utf-8")
    print(json.dumps(operators.history[-5:]))
