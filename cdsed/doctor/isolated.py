"""Look at files in processes of their own: a call to a mount that hangs cannot be ended, but its process can."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from cdsed.process.interpreter import module_command

Job = Mapping[str, Any]


def run_isolated(jobs: Mapping[str, Job], within_s: float) -> dict[str, dict[str, Any] | None]:
    """Run the jobs of `cdsed.doctor.probe` at the same time.

    Parameters
    ----------
    jobs
        What to look at, by a name.
    within_s
        Seconds after which a job that has not ended is killed and left.

    Returns
    -------
    dict
        The result of each job; None if it hangs. A job that failed has the member ``error``.
    """
    running = {name: _start(job) for name, job in jobs.items()}
    until_s = time.monotonic() + within_s
    return {name: _result(process, until_s - time.monotonic()) for name, process in running.items()}


def _start(job: Job) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own command
        module_command("cdsed.doctor.probe", json.dumps(job)),
        env={name: value for name, value in os.environ.items() if not name.startswith("NOTIFY")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # else a process that is left keeps our caller's pipe open
        start_new_session=True,
    )


def _result(process: subprocess.Popen[bytes], left_s: float) -> dict[str, Any] | None:
    try:
        written, _ = process.communicate(timeout=max(left_s, 0.05))
    except subprocess.TimeoutExpired:
        process.kill()  # a process that waits for a dead file server may stay; it is not waited for
        process.returncode = -signal.SIGKILL
        if process.stdout is not None:
            process.stdout.close()
        return None
    try:
        found = json.loads(written)
    except ValueError:
        return {"error": f"the process that looked ended with {process.returncode}"}
    return found if isinstance(found, dict) else {"error": "the process that looked gave no result"}
