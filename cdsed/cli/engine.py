"""``cdsed engine``: make the certificate of a cluster, and look whether its workers can have connections."""

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cdsed.errors import ExitCode, UsageError

_NO_PAGES_OF_SCHEDULER = "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES='[]'"
_NO_PAGES_OF_WORKER = "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES='[]'"


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    engine = subparsers.add_parser(
        "engine",
        help="prepare and check the workers of Dask that may have the connections",
        description="Prepare and check the workers of Dask that may have the connections (engine.kind: dask).",
    )
    actions = engine.add_subparsers(metavar="ACTION", required=True)
    init = actions.add_parser("init", help="make the certificate that scheduler, workers and daemon need for tls://")
    init.add_argument("directory", type=Path, metavar="DIR", help="new directory; engine.tls_dir of the settings")
    init.set_defaults(command=run_init)
    check = actions.add_parser(
        "check", help="ask each worker whether it sees settings, accounts and spools; print the script of jobs"
    )
    check.add_argument("--config", type=Path, metavar="FILE", help="settings file")
    check.set_defaults(command=run_check)


def run_check(arguments: argparse.Namespace) -> int:
    """Print a line for each worker, and what is wrong there; or the script of the jobs that the daemon submits.

    Returns
    -------
    int
        0; 1 if something is wrong, or no worker is connected.
    """
    import os

    from cdsed.config.load import load_settings
    from cdsed.config.locate import settings_file

    config = settings_file(arguments.config, os.environ)
    settings = load_settings(config, os.environ)
    if settings.engine.kind == "dask" and settings.engine.jobqueue is not None:
        from cdsed.engine.dask_client import job_script

        print(f"the daemon submits jobs as this one, {settings.engine.jobqueue.jobs_max} at most:\n")
        print(job_script(settings.engine).rstrip())
        return ExitCode.OK
    if settings.engine.scheduler == "local":
        print("the daemon itself starts what has the connections: you have no other worker to check")
        return ExitCode.OK
    from cdsed.cli.commanding import check_owner
    from cdsed.engine.dask_client import on_every_worker
    from cdsed.engine.visibility import SEEN_WITHIN_S, marked
    from cdsed.engine.worker_check import WorkerLook, look, versions

    check_owner(settings.state_dir)
    place = settings.pre_spool_for(settings.spools[0])
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with marked([place]) as markers:
        if not markers:
            raise UsageError(f"{place} cannot be written here, so it cannot be compared with what workers see")
        came = on_every_worker(settings.engine, look, str(config.resolve()), str(markers[0]), SEEN_WITHIN_S)
    problems = 0 if came else 1
    for address, said in sorted(came.items()):
        if not isinstance(said, tuple):
            print(f"{address}: {type(said).__name__}: {said}")
            problems += 1
            continue
        seen = WorkerLook(*said)
        wrong = list(seen.problems)
        if seen.versions != versions():
            wrong.append(f"the daemon has {versions()}")
        if seen.seen_after_s is None:
            wrong.append(f"a new file in {place} is not seen within {SEEN_WITHIN_S:g} s")
        late = "" if seen.seen_after_s is None else f", sees a new file after {seen.seen_after_s:.1f} s"
        print(f"{seen.host} ({address}): {seen.versions}{late}")
        for each in wrong:
            print(f"  {each}")
        problems += len(wrong)
    if not came:
        print(f"no worker is connected to {settings.engine.scheduler}")
    return ExitCode.UNFINISHED if problems else ExitCode.OK


def run_init(arguments: argparse.Namespace) -> int:
    """Make certificate and key, and print how scheduler and workers are started with them.

    Returns
    -------
    int
        0; raises `UsageError` when the directory exists.
    """
    import shlex

    if find_spec("cryptography") is None:
        raise UsageError("a certificate needs more libraries; install cdsed[dask]")
    from cdsed.config.engine_settings import CERTIFICATE_NAME, KEY_NAME
    from cdsed.engine.certificates import make_certificate

    directory: Path = arguments.directory.resolve()
    if directory.exists():
        raise UsageError(f"{directory} exists; name a new directory")
    if not directory.parent.is_dir():
        raise UsageError(f"the directory {directory.parent} does not exist")
    make_certificate(directory)
    certificate, key = (shlex.quote(str(directory / name)) for name in (CERTIFICATE_NAME, KEY_NAME))
    tls = f"--tls-ca-file {certificate} --tls-cert {certificate} --tls-key {key}"
    print(f"made {certificate} and {key}: keep them secret, for they let others run programs as you on every worker")
    # Without these, Dask serves some pages to all who can reach the machine, also with --no-dashboard.
    print(f"one scheduler:   {_NO_PAGES_OF_SCHEDULER} dask scheduler --protocol tls --no-dashboard {tls}")
    print(f"each worker:     {_NO_PAGES_OF_WORKER} dask worker tls://HOST:8786 --nthreads 1 --no-dashboard {tls}")
    print(f"the settings:    engine: {{kind: dask, scheduler: 'tls://HOST:8786', tls_dir: {directory}}}")
    return ExitCode.OK
