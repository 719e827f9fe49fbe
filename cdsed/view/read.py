"""One look at the state of a daemon, taken without a lock, whether it runs or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK
from cdsed.model.status import DaemonState, DaemonStatus, StatusReport
from cdsed.process.lock import LOCK_NAME, holder
from cdsed.store import snapshot
from cdsed.store.database import FILE_NAME, Database, open_read_only
from cdsed.store.reserve import shortage


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen.

    Parameters
    ----------
    last_heard_at
        When a daemon that died last wrote to its state, seconds UTC.
    ran_before
        Whether a daemon was started here although there is no state.
    """

    state_dir: Path
    report: StatusReport
    last_heard_at: float | None = None
    ran_before: bool = False


@contextmanager
def looking(state_dir: Path) -> Iterator[tuple[Look, Database | None]]:
    """Look at a state directory; the database stays open inside of the block, None where there is none yet.

    Raises
    ------
    StateError
        The state cannot be read.
    OSError
        This user may not look into the directory.
    """
    running = holder(state_dir / LOCK_NAME).running
    db = open_read_only(state_dir, daemon_runs=running)
    if db is None:
        state = DaemonState.RUNNING if running else DaemonState.NEVER
        empty = StatusReport(SYSTEM_CLOCK.utc_s(), DaemonStatus(state))
        yield Look(state_dir, empty, ran_before=(state_dir / LOCK_NAME).exists()), None
        return
    try:
        report = snapshot.report(db, SYSTEM_CLOCK, running=running)
        if running and report.why_idle is None and not report.moving:
            report = replace(report, why_idle=shortage(state_dir))  # what no worker can note in the state itself
        died = report.daemon.state is DaemonState.DIED
        yield Look(state_dir, report, _last_written(state_dir) if died else None), db
    finally:
        db.close()


def _last_written(state_dir: Path) -> float | None:
    """Return when the state was last changed; what is newest is in the write-ahead log, where there is one."""
    paths = (state_dir / f"{FILE_NAME}{suffix}" for suffix in ("", "-wal"))
    return max((path.stat().st_mtime for path in paths if path.exists()), default=None)
