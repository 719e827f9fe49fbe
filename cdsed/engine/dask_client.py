"""Connections to the scheduler of Dask, or to one of our own with its workers."""

import asyncio
import importlib
import logging
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
from distributed import Client, LocalCluster, Security
from distributed.utils import LoopRunner

from cdsed.config.engine_settings import CERTIFICATE_NAME, KEY_NAME, LOCAL_CLUSTER, EngineSettings
from cdsed.errors import MachineError

if TYPE_CHECKING:
    from cdsed.engine.dask_jobs import DaskJobs

#: What Dask raises when its scheduler is gone, or its client is closed.
GONE = (OSError, RuntimeError, ValueError, AttributeError, CancelledError, asyncio.CancelledError)
#: So much longer than a message may take: a carrier that does not answer is gone.
ANSWER_WITHIN_S = 30
_CONNECT_WITHIN_S = 30


@cache
def _loop() -> Any:
    """Return the loop of all clients of this process: one that cannot connect would leave a loop of its own behind."""
    runner = LoopRunner()
    runner.start()
    return runner.loop


def workers_of(client: Client) -> Mapping[str, Any]:
    """Return what the scheduler knows of each worker, by address.

    `Client.scheduler_info` returns none now and then: Dask refreshes its result in another thread, without the workers.
    """
    if client.scheduler is None:
        raise OSError("it is not connected")
    asked = client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=ANSWER_WITHIN_S)
    known: Mapping[str, Any] = asked["workers"]
    return known


def on_every_worker(settings: EngineSettings, call: Callable[..., object], *arguments: object) -> dict[str, object]:
    """Call a function on every worker of a scheduler; return what came of it, an error too, by address.

    Raises
    ------
    MachineError
        The scheduler does not answer.
    """
    try:
        security = _security(settings)
        with Client(settings.scheduler, security=security, timeout=_CONNECT_WITHIN_S, loop=_loop()) as client:
            came: dict[str, object] = client.run(call, *arguments, on_error="return")
            return came
    except GONE as error:
        raise MachineError(f"Dask at {settings.scheduler} does not answer: {error}", code="Engine") from error


def job_script(settings: EngineSettings) -> str:
    """Return the script of the jobs that the daemon submits.

    Raises
    ------
    MachineError
        The scheduler cannot listen as the settings say.
    """
    try:
        load_jobs()
        with jobs_of(settings) as jobs:
            return jobs.script()
    except GONE as error:
        raise MachineError(f"the scheduler for the jobs: {error}", code="Engine") from error


def load_jobs() -> None:
    """Import dask-jobqueue, in the main thread: it sets a handler for SIGINT, which is put back."""
    handler = signal.getsignal(signal.SIGINT)
    importlib.import_module("cdsed.engine.dask_jobs")
    signal.signal(signal.SIGINT, handler)


def jobs_of(settings: EngineSettings) -> "DaskJobs":
    """Return the jobs of the settings, which must have a jobqueue, after `load_jobs`; in ``with``, all of them end."""
    from cdsed.engine.dask_jobs import DaskJobs

    assert settings.jobqueue is not None, "the caller has looked"
    assert settings.tls_dir is not None, "a jobqueue needs it"
    _configure()
    return DaskJobs(settings.jobqueue, _certified(settings.tls_dir), _loop())


def _configure() -> None:
    logging.getLogger("distributed").setLevel(logging.WARNING)
    # Its errors are tracebacks of connections that end; what users need of these we say ourselves.
    for name in ("distributed.client", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    dask.config.set(
        {
            "distributed.comm.timeouts.connect": f"{_CONNECT_WITHIN_S}s",
            "distributed.scheduler.http.routes": [],  # no pages of Dask
            "distributed.worker.http.routes": [],
            # What it looks at itself for: all together 50 ms of CPU per second and process, idle or not.
            "distributed.admin.tick.interval": "1s",
            "distributed.admin.system-monitor.interval": "10s",
            "distributed.worker.profile.enabled": False,
            "distributed.scheduler.active-memory-manager.start": False,
            "distributed.admin.low-level-log-length": 100,  # events, which it keeps
        }
    )


def connected(
    settings: EngineSettings, workers: int, scratch: Path, jobs: "DaskJobs | None", stack: ExitStack
) -> Client:
    """Connect to a scheduler, or start one: with TLS and keys of its own, as other users may reach its port, too."""
    _configure()
    if jobs is not None:
        return Client(jobs.cluster, set_as_default=False)
    if settings.scheduler != LOCAL_CLUSTER:
        security, within_s = _security(settings), _CONNECT_WITHIN_S
        return Client(settings.scheduler, security=security, timeout=within_s, loop=_loop(), set_as_default=False)
    cluster = stack.enter_context(
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            protocol="tls://",
            security=Security.temporary(),
            memory_limit=None,
            # Beside TLS for the workers: our own client is in this process.
            scheduler_kwargs={"dashboard": False, "host": ["127.0.0.1", None], "protocol": ["tls://", "inproc://"]},
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            local_directory=str(scratch),
            silence_logs=logging.WARNING,
            loop=_loop(),
        )
    )
    _, in_process = cluster.scheduler.listeners
    return Client(in_process.contact_address, security=cluster.security, loop=_loop(), set_as_default=False)


def _security(settings: EngineSettings) -> Security | None:
    """Return the certificate of the installation; None: the scheduler is on this machine, without TLS."""
    return None if settings.tls_dir is None else _certified(settings.tls_dir)


def _certified(directory: Path) -> Security:
    certificate, key = str(directory / CERTIFICATE_NAME), str(directory / KEY_NAME)
    roles = {
        f"tls_{role}_{what}": path
        for role in ("client", "scheduler", "worker")
        for what, path in (("cert", certificate), ("key", key))
    }
    return Security(tls_ca_file=certificate, require_encryption=True, **roles)
