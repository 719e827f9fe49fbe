"""The head: what a download process has so that holders have its connections."""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from cdsed.config.settings import Settings
from cdsed.engine.dask_client import GONE, load_jobs
from cdsed.engine.dask_link import DaskLink
from cdsed.engine.grant_rules import hold_s
from cdsed.engine.holder_broker import HolderBroker
from cdsed.engine.job_keeper import JobKeeper
from cdsed.engine.known_machines import HeadNews, KnownMachines
from cdsed.engine.known_pilots import KnownPilots
from cdsed.engine.lasting_link import LastingLink
from cdsed.engine.machine_record import MachineRecord
from cdsed.engine.pilot import PilotOrder
from cdsed.engine.seats import Seats
from cdsed.errors import MachineError
from cdsed.store.demand import sessions_wanted
from cdsed.work.flock_broker import FlockBroker

_log = logging.getLogger(__name__)

_TEND_EVERY_S, _END_WITHIN_S = 1.0, 5.0


class Head:
    """The seats of all holders, the thread that answers them, and one that tends the link, which may take long.

    As a context manager it ends all.

    Parameters
    ----------
    local
        Grants the sessions.
    config
        The settings file; holders read it, too.
    state_id
        The identity of the state, which owns the places of products.
    sessions
        How many there are.
    on_idle
        Called when a holder has nothing to do.
    leaving
        Set when the process must leave.
    """

    def __init__(
        self,
        local: FlockBroker,
        config: Path,
        state_id: str,
        sessions: int,
        on_idle: Callable[[], None],
        leaving: threading.Event,
    ) -> None:
        settings: Settings = local.settings
        engine, store = settings.engine, local.store
        if engine.jobqueue is not None:
            load_jobs()  # in this thread, the main one
        self._settings, self._store = engine, store
        self._record = MachineRecord(store.db, store.clock)
        lives_s = engine.jobqueue.lives_s if engine.jobqueue is not None else None
        order = PilotOrder(str(config), engine.holders_per_worker, engine.renew_every_s, 2 * engine.grant_s, lives_s)
        workers = math.ceil(sessions / engine.holders_per_worker)
        self._link = LastingLink(partial(DaskLink, engine, workers, settings.sessions_dir / "dask", order))
        places = [settings.pre_spool_for(spool) for spool in settings.spools]
        self._pilots = KnownPilots(2 * engine.grant_s, store.clock.boot_s())
        machines = KnownMachines(self._link, engine, self._pilots, self._take, places)
        self._seats = Seats(self._link, engine, store.clock, on_idle, machines)
        self._keeper: JobKeeper | None = None
        self.broker = HolderBroker(local, self._seats, state_id, hold_s(engine.grant_s, engine.lost_rest_s))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._seats.run, args=(self._stop, leaving), name="seats", daemon=True)
        self._tending = threading.Thread(target=self._tend, name="link", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether holders are answered."""
        return self._thread.is_alive() and self._tending.is_alive()

    def __enter__(self) -> Self:
        self._thread.start()
        self._tending.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        until_s = time.monotonic() + _END_WITHIN_S
        for thread in (self._thread, self._tending):
            thread.join(max(0.0, until_s - time.monotonic()))
        try:
            self._record.end(self._seats.news())
        finally:
            self._seats.end()

    def _tend(self) -> None:
        while not self._stop.is_set():
            self._link.tend()
            self._stop.wait(_TEND_EVERY_S)

    def _take(self, news: HeadNews) -> frozenset[str]:
        """Follow the work with jobs, and let a user know of problems."""
        problem, link = self._link.problem or news.problem, self._link.current
        if link is not None and link.jobs is not None and not self._stop.is_set():
            if self._keeper is None or self._keeper.link is not link:  # jobs end with their carrier
                wanted = partial(sessions_wanted, self._store.db, self._store.clock)
                self._keeper = JobKeeper(link, self._seats, self._pilots, self._store.clock, self._settings, wanted)
            try:
                problem = self._keeper.look(problem)
            except (*GONE, KeyError, MachineError) as error:  # the carrier is lost just now, or closed
                _log.warning("jobs cannot be looked after: %s %s", type(error).__name__, error)
        return self._record.take(replace(news, problem=problem))
