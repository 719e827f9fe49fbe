"""Every alarm is provoked, seen in the status, the page, the metrics and a hook, and goes away with its cause."""

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.accounts import load_accounts
from cdsed.config.load import load_settings
from cdsed.model.alarm import NAMES
from cdsed.process.register import Register, register_dir
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import notices, processes
from cdsed.store.database import FILE_NAME, Database, join_state
from cdsed.transfer.ownerfile import this_owner
from cdsed.transfer.owners import Owners
from cdsed.work.sharing import account_mark
from tests.support.alarm_outlets import AlarmKey, AlarmOutlets, hook
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

#: A part of what `cdsed status` says of each alarm. A new alarm needs a line here, and a place in the walk.
_TEXTS = {
    "daemon_died": "The daemon died; pid",
    "daemon_stopped": "The daemon is stopped since",
    "damaged": "the file has a bad page",
    "stalled": "no byte has arrived",
    "crash_loop": "resolve crashes in a loop",
    "accounts": "no account of group lab can be used",
    "account": "account sandbox-3: its S3 key",
    "key_expires": "the S3 key of account sandbox-2 expires in",
    "penalised": "as if its volume were spent at CDSE",
    "disk": "away",
    "inbox": "cannot be used",
    "service": "s3: ",
    "catalogue": "catalogue: ",
    "quota_spent": "30-day volume is spent",
    "failed_products": "NotInCatalogue",
    "reload": "reload refused",
    "shared_account": "is used by another cdsed on this machine too",
    "other_state": "another cdsed downloads 1 product",
    "replaced": "keeps what stood in the place of products",
    "recovered": "made again from the backup",
}
#: What a hook cannot be given, and why; docs/hooks.md says it, too.
_NOT_FOR_HOOKS = {
    "daemon_died": "the daemon that gives events is dead",
    "daemon_stopped": "the daemon that gives events is stopped",
    "damaged": "the daemon has left, and its next start ends the alarm",
}
#: What needs workers of Dask: see tests/faults/test_machines.py.
_ELSEWHERE = {"machine"}
_DOCUMENT = Path(__file__).parents[2] / "docs/hooks.md"
_BAD_NAME = "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE"

#: Of its S3 path the catalogue is asked.
_NO_GUESS = "S3A_SL_0_SLT____20240604T110100_20240604T110400_20240604T130000_0179_113_094_0001_PS1_O_NR_004.SEN3"


class Walk:
    """One installation whose alarms come and go, and what was seen of them.

    Attributes
    ----------
    present
        The severity of each alarm that there is now.
    walked
        The names of all alarms that were seen.
    """

    def __init__(self, root: Path, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox
        self.root = root
        first, second, third = sandbox.accounts
        self._groups = {"default": [first, second], "lab": [third]}
        self.away = root / "away"
        self.away.mkdir()
        self.lab = Installation(
            root / "lab",
            sandbox,
            groups=self._groups,
            spools=[str(root / "lab" / "spool"), str(self.away / "spool")],
            transfer={"processes": 1, "read_timeout_s": 5, "rate_min_bytes_per_s": 0},
            hooks=[hook(root)],
        )
        self.daemon = DaemonProcess(self.lab)
        self.outlets = AlarmOutlets(self.lab, root)
        self.present: dict[AlarmKey, str] = {}
        self.walked: set[str] = set()
        self._due: Counter[tuple[str, AlarmKey]] = Counter()

    def expect(
        self, alarms: dict[AlarmKey, str], *, again: AlarmKey | None = None, says: dict[str, str] | None = None
    ) -> None:
        """Wait until these alarms are everywhere, and until the hook has heard of what came and what went.

        While the daemon does not run, the hook hears nothing. It hears of what went after the next start.

        Parameters
        ----------
        again
            An alarm that was there before, and is sent again because it became more urgent.
        says
            What the status says of alarms that have another text than in `_TEXTS`, by name.
        """
        self.outlets.wait_for(alarms, _TEXTS if says is None else {**_TEXTS, **says})
        came, went = alarms.keys() - self.present.keys(), self.present.keys() - alarms.keys()
        for kind, keys in (("person_needed", {*came, again} - {None}), ("back_to_normal", went)):
            self._due.update((kind, key) for key in keys if key and key[0] not in _NOT_FOR_HOOKS)
        self.present = dict(alarms)
        self.walked |= {name for name, _ in alarms}
        if self.daemon.running():
            try:
                wait_until("the events", lambda: not self._missing(), 30, daemon=self.daemon)
            except AssertionError as error:
                raise AssertionError(f"the hook was not given {self._missing()}: {error}") from None

    def _missing(self) -> list[tuple[str, AlarmKey]]:
        given = {kind: self.outlets.events(kind) for kind in ("person_needed", "back_to_normal")}
        return [due for due, times in self._due.items() if given[due[0]][due[1]] < times]

    @contextmanager
    def state(self) -> Iterator[Database]:
        """Open the state for what takes too long to happen."""
        with closing(join_state(self.lab.state)) as db, db.write():
            yield db

    def key_expires_in(self, days: float) -> None:
        """Write into the accounts file when the key of the second account expires."""
        self.lab.write_accounts(self._groups)
        document = yaml.safe_load(self.lab.accounts_file.read_text("utf-8"))
        expires = datetime.now(UTC) + timedelta(days=days)
        document["groups"]["default"]["accounts"]["sandbox-2"]["s3_key_expires"] = expires.isoformat()
        self.lab.accounts_file.write_text(yaml.safe_dump(document), encoding="utf-8")

    def start(self) -> None:
        """Start the daemon, and wait until all its workers are there."""
        self.daemon.start()
        wait_until("the workers", lambda: len(self.daemon.worker_pids()) == 4, daemon=self.daemon)

    def stop(self) -> None:
        """Stop the daemon."""
        self.daemon.terminate()
        self.daemon.wait(30)


@pytest.mark.timeout(600)
def test_each_alarm_is_seen_everywhere_and_goes_away_with_its_cause(tmp_path: Path) -> None:
    with ExitStack() as stack:
        sandbox = stack.enter_context(SandboxProcess(accounts=3))
        walk = Walk(tmp_path, sandbox)
        stack.enter_context(walk.outlets)
        stack.callback(walk.daemon.__exit__)
        around_the_installation(walk)
        at_work(walk)
        at_its_end(walk)
        assert walk.walked | _ELSEWHERE == set(NAMES)


def around_the_installation(walk: Walk) -> None:
    """Walk what is wrong around a daemon that has no product to fetch."""
    lab, daemon, room = walk.lab, walk.daemon, walk.lab.spool / ".cdsed"
    (room / "replaced" / "A.1").mkdir(parents=True)
    other = Owners(this_owner("b" * 32, walk.root / "other", os.getpid()))
    other.claim(room, "A", lambda: None)
    walk.key_expires_in(13)
    settings = load_settings(lab.config, os.environ)
    mark = account_mark(next(iter(load_accounts(settings, os.environ))), settings.services.s3_url)
    held = Register(register_dir(os.environ), os.getpid(), walk.root / "other").take(mark, 1)
    assert held is not None
    walk.start()
    alarms: dict[AlarmKey, str] = {
        ("replaced", str(room / "replaced")): "warning",
        ("other_state", str(room)): "warning",
        ("shared_account", "sandbox-1"): "warning",
        ("key_expires", "sandbox-2"): "warning",
    }
    walk.expect(alarms)

    lab.drop("bad.txt", [_BAD_NAME])
    wait_until("the report", lambda: lab.report("bad.txt"), daemon=daemon)
    with walk.state() as db:
        db.rows("UPDATE account SET key_expires_at = :at WHERE name = 'sandbox-2'", at=time.time() + 2 * 86_400)
        hour = int(time.time() // 3600) - 1  # what is really fetched counts in this one
        db.rows("INSERT INTO traffic_hour VALUES ('sandbox-2', :hour, 1, 13000000000000)", hour=hour)
        now_s = SYSTEM_CLOCK.boot_s()
        db.rows(
            "INSERT INTO throttle VALUES ('sandbox-1', 'penalised', 1, 0, :now, :later)", now=now_s, later=now_s + 999
        )
    spool = walk.away / "spool"
    shutil.rmtree(walk.away)
    walk.away.touch()
    lab.inbox.rename(walk.root / "inbox-away")
    good = lab.config.read_text("utf-8")
    lab.config.write_text(good + "colour: blue\n", encoding="utf-8")
    daemon.send(signal.SIGHUP)
    wait_until("it is refused", lambda: lab.query("SELECT 1 FROM notice WHERE name = 'reload'"), daemon=daemon)
    lab.config.write_text(good, encoding="utf-8")
    killed: set[int] = set()
    while len(killed) < 3:  # before the disk and the inbox are looked at again
        for pid in set(daemon.worker_pids("resolve")) - killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        time.sleep(0.05)
    alarms |= {
        ("crash_loop", "resolve"): "critical",
        ("disk", str(spool)): "warning",
        ("inbox", ""): "warning",
        ("quota_spent", "sandbox-2"): "warning",
        ("penalised", "sandbox-1"): "warning",
        ("failed_products", ""): "warning",
        ("reload", ""): "warning",
    }
    walk.expect(alarms, again=("key_expires", "sandbox-2"))
    with walk.state() as db:
        db.rows("UPDATE account SET key_expires_at = :at WHERE name = 'sandbox-2'", at=time.time() + 0.5 * 86_400)
    alarms["key_expires", "sandbox-2"] = "critical"
    walk.expect(alarms, again=("key_expires", "sandbox-2"))

    walk.away.unlink()
    walk.away.mkdir()
    (walk.root / "inbox-away").rename(lab.inbox)
    held.release()
    other.release(room, "A")
    shutil.rmtree(room / "replaced")
    with walk.state() as db:
        db.rows("DELETE FROM traffic_hour WHERE account = 'sandbox-2'")
        db.rows("DELETE FROM throttle")
    walk.sandbox.add_products({"safename": _BAD_NAME, "size_bytes": 1000})
    assert lab.command("retry", "--unavailable").returncode == 0
    walk.key_expires_in(365)
    lab.configure(disk={"free_bytes_min": 10**18})  # every disk is full, as `at_work` sees it
    daemon.send(signal.SIGHUP)


def at_work(walk: Walk) -> None:
    """Walk what is wrong while products are fetched."""
    lab, sandbox = walk.lab, walk.sandbox
    *names, too_big = realistic_safenames("S1_OCN", 14, seed=61)
    sandbox.add_products(*({"safename": name, "size_bytes": 100_000} for name in [*names, too_big, _NO_GUESS]))
    sandbox.fault(kind="key_revoked", account="sandbox-3")
    lab.drop("of-the-lab.txt", names[:1], group="lab")
    lab.drop("full.txt", [too_big])
    full = {("disk", "every spool"): "critical"}
    alarms = {("accounts", "lab"): "critical", ("account", "sandbox-3"): "warning", **full}
    walk.expect(alarms, says={"disk": "free_bytes_min"})
    for operation in ("get", "list", "odata"):
        sandbox.fault(kind="internal_error", operation=operation)
    lab.configure(disk={"free_bytes_min": 0})  # there is room, which is noticed when S3 works
    walk.daemon.send(signal.SIGHUP)
    lab.drop("one.txt", [*names[1:], _NO_GUESS])
    more = {("service", "s3"): "warning", ("catalogue", ""): "warning"}
    walk.expect({**alarms, **more}, says={"disk": "free_bytes_min"})
    sandbox.clear_faults()
    walk.expect({})
    wait_until("the report", lambda: lab.report("one.txt"), daemon=walk.daemon)


def at_its_end(walk: Walk) -> None:
    """Walk what is wrong when bytes or the daemon stand still, or the state is damaged."""
    lab, sandbox = walk.lab, walk.sandbox
    stalled, waiting = realistic_safenames("S1_OCN", 2, seed=63)
    sandbox.add_products(*({"safename": name, "size_bytes": 100_000} for name in (stalled, waiting)))
    sandbox.fault(kind="stall", operation="get")
    with walk.state() as db:
        processes.stalls_after(db, -8.0)  # instead of a minute
    lab.drop("two.txt", [stalled])
    walk.expect({("stalled", ""): "critical"})
    walk.daemon.kill()
    walk.expect({("daemon_died", ""): "critical"})
    sandbox.clear_faults()
    walk.start()
    walk.expect({})

    sandbox.fault(kind="stall", operation="get")
    lab.drop("three.txt", [waiting])
    wait_until("the receipt", lambda: lab.receipt("three.txt"), daemon=walk.daemon)
    assert lab.command("state", "backup").returncode == 0  # an older one may have alarms of before in it
    walk.stop()
    with walk.state() as db:
        notices.note(db, SYSTEM_CLOCK, notices.DAMAGED, f"{_TEXTS['damaged']}; the next start recovers it")
    walk.expect({("daemon_stopped", ""): "critical", ("damaged", ""): "critical"})
    (lab.state / FILE_NAME).unlink()
    sandbox.clear_faults()
    walk.start()
    walk.expect({("recovered", ""): "warning"})
    wait_until("the reports", lambda: lab.report("two.txt") and lab.report("three.txt"), daemon=walk.daemon)
    with walk.state() as db:
        db.rows("UPDATE notice SET since_at = since_at - 15 * 86400 WHERE name = 'recovered'")
    walk.expect({})


def test_what_hooks_cannot_say_is_said_in_their_document() -> None:
    page = _DOCUMENT.read_text("utf-8")
    section = page[page.index("What hooks cannot tell you") : page.index("## Under systemd")]
    assert {name for name in NAMES if f"`{name}`" in section} == _NOT_FOR_HOOKS.keys()
    assert _TEXTS.keys() | _ELSEWHERE == set(NAMES)
