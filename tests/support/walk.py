"""The whole way of a listing in one thread of one process, so that its n-th system call is always the same one.

A daemon's processes and threads take turns as the kernel likes; here the code of cdsed runs in a fixed order:
reclaim, intake, resolve, plan and fetch, verify and publish, report, and again until all listings are reported.

``python -m tests.support.walk SETTINGS`` walks there once, which loads everything. Then, for every line on its
standard input (``hold`` or ``go``, a file for what it says, a settings file, separated by tabs), it forks a process
that walks. A held one waits, stopped, for SIGCONT. For each line it prints the pid, and when that has ended, its wait
status.
"""

import math
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from cdsed import daemon, log, roles
from cdsed.catalogue.client import Catalogue
from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.accounts import load_accounts
from cdsed.config.load import load_settings
from cdsed.inbox.directory import taken
from cdsed.local.presence import presence_of
from cdsed.process.worker_control import WorkerControl
from cdsed.store import listings, products
from cdsed.work import owning
from cdsed.work.arrival_digester import ArrivalDigester
from cdsed.work.cancelled import remove_staging, settle_next
from cdsed.work.context import WorkSignal
from cdsed.work.finish import finish_next
from cdsed.work.grant_turns import GrantTurns
from cdsed.work.intake import Intake
from cdsed.work.resolve import Resolver
from cdsed.work.session import SessionThread
from cdsed.work.worker import Worker, registered

_ROUND_S = 0.02
_WITHIN_S = 60.0


class _NoNews(WorkSignal):
    """No other session exists to wait for: it leaves."""

    def __init__(self, control: WorkerControl) -> None:
        super().__init__()
        self._life = control

    def wait_after(self, generation: int, seconds: float) -> None:  # noqa: ARG002 - it does not wait
        self._life.stop.set()


def walk(settings_file: str) -> None:
    """Start as the daemon does, and work until every listing is reported."""
    config = Path(settings_file)
    settings = load_settings(config, os.environ)
    accounts = load_accounts(settings, os.environ)
    control = WorkerControl("walk", None, math.inf)
    order = daemon._RunOptions(config, once=True, idle_timeout_s=_WITHIN_S)
    with (
        closing(daemon._Daemon(settings, accounts, SYSTEM_CLOCK, order)),
        registered("walk", settings, accounts, control) as worker,
        Catalogue(settings, clock=worker.clock, stop=control.stop) as catalogue,
    ):
        _work(worker, Resolver(worker.db, worker.clock, catalogue, worker.process))


def _work(worker: Worker, resolver: Resolver) -> None:
    presence = presence_of(worker.settings, worker.clock)
    intake = Intake(worker.db, worker.clock, worker.settings, worker.accounts.groups, presence, lambda: None)
    context = replace(roles._worker_context(worker), work_signal=_NoNews(worker.control))
    digester = ArrivalDigester(context)
    until_s = time.monotonic() + _WITHIN_S
    intake.go_on()
    while True:
        intake.look()
        products.wake_due(worker.db, worker.clock)
        resolver.resolve_some()
        worker.control.stop.clear()
        SessionThread(context, GrantTurns(context)).run()
        worker.control.stop.clear()
        while finish_next(context) or digester.step() or settle_next(context.disks):
            pass
        remove_staging(context.disks)
        intake.report()
        inbox = worker.settings.inbox.path
        if not taken(inbox) and not list(inbox.glob("*.txt")) and not listings.unreported(worker.db):
            for room, _ in owning.rooms_of_all(context.disks):  # the work of the janitor, after a kill
                owning.tidy(context.disks, room)
            return
        if time.monotonic() > until_s:
            raise TimeoutError(f"not at the end of the way after {_WITHIN_S} s")
        time.sleep(_ROUND_S)


def serve(work: Callable[..., None]) -> None:
    """Work once with the arguments of this process; then fork a process that works for each line of standard input."""
    work(*sys.argv[1:])
    print("ready", flush=True)
    for line in sys.stdin:
        how, said, *words = line.rstrip("\n").split("\t")
        pid = os.fork()
        if pid == 0:
            _child(how == "hold", Path(said), work, words)
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)


def _child(held: bool, said: Path, work: Callable[..., None], words: list[str]) -> None:
    """Run the forked process: work, and exit with 0, or with 70 and a traceback."""
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    log.setup("walk", "WARNING")
    if held:
        os.kill(os.getpid(), signal.SIGSTOP)
    try:
        work(*words)
    except BaseException:  # noqa: BLE001 - the process's outermost frame
        sys.excepthook(*sys.exc_info())
        os._exit(70)
    os._exit(0)


if __name__ == "__main__":
    serve(walk)
