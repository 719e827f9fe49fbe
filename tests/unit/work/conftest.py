"""A state of its own for each test, and what a session needs beside it."""

import os
import threading

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.accounts import Account, S3Keys
from cdsed.config.secrets import Secret
from cdsed.config.settings import Settings
from cdsed.credentials.key_ledger import LEDGER_NAME, Keyring
from cdsed.local.presence import Presence
from cdsed.process.register import Register
from cdsed.store.identity import state_id
from cdsed.transfer.connection import Endpoint
from cdsed.transfer.ownerfile import this_owner
from cdsed.transfer.owners import Owners
from cdsed.transfer.stall_detector import StallDetector
from cdsed.work.bench import Bench, News
from cdsed.work.outcome import Outcome
from cdsed.work.session import SessionThread
from tests.support.sandbox import SandboxProcess
from tests.unit.store.conftest import lab

__all__ = ["bench", "lab"]


def account_of(sandbox):
    """Return the sandbox's account as the accounts file would give it."""
    known = sandbox.accounts[0]
    return Account(
        name="a",
        group="default",
        login="a@example.org",
        password=None,
        s3_keys=S3Keys(Secret(known.access_key), Secret(known.secret_key)),
        s3_key_expires=None,
        sessions=4,
        bandwidth_bytes_per_s=None,
        requests_per_minute=2000,
        volume_bytes=10**13,
    )


@pytest.fixture(scope="module")
def service():
    """Give a sandbox that has every product asked for in one module."""
    with SandboxProcess() as process:
        yield process


@pytest.fixture
def bench(lab, tmp_path, service):
    """Give a download process with one session thread, at a sandbox; `start` and `stop` are for the thread."""
    lab.clock = SYSTEM_CLOCK
    lab.accounts("a")
    (tmp_path / "spool").mkdir()
    settings = Settings.model_validate(
        {
            "state_dir": str(tmp_path / "state"),
            "spools": [str(tmp_path / "spool")],
            "services": service.services,
            "disk": {"free_bytes_min": 0},
            "transfer": {"session_rest_s": 0.0, "checkpoint_every_s": 0.1, "zipper": True},
        }
    )
    settings.sessions_dir.mkdir()
    (tmp_path / "register").mkdir()
    lab.sandbox = service
    lab.bench = Bench(
        db=lab.db,
        clock=SYSTEM_CLOCK,
        settings=settings,
        accounts={"a": account_of(service)},
        keyring=Keyring(settings.state_dir / LEDGER_NAME, SYSTEM_CLOCK),
        endpoint=Endpoint.from_settings(settings),
        presence=Presence(settings.spools, []),
        stall_detector=StallDetector(0, 60),
        outcome=Outcome(lab.db, SYSTEM_CLOCK, settings.retry),
        register=Register(tmp_path / "register", os.getpid(), settings.state_dir),
        owners=Owners(this_owner(state_id(settings.state_dir), settings.state_dir, os.getpid())),
        process=lab.process,
        stop=threading.Event(),
        news=News(),
    )
    threads = []

    def start():
        lab.bench.stop.clear()
        threads.append(threading.Thread(target=SessionThread(lab.bench).run))
        threads[-1].start()

    def stop():
        lab.bench.stop.set()
        lab.bench.stall_detector.abort_all()
        lab.bench.news.tell()
        for thread in threads:
            thread.join(10)

    lab.start, lab.stop, lab.alive = start, stop, lambda: threads[-1].is_alive()
    yield lab
    stop()
    service.clear_faults()
    service.reset_counters()
