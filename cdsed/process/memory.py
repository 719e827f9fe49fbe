"""The memory of processes, and which of them the kernel kills first when none is left."""

import os
from contextlib import suppress
from pathlib import Path

_ALL_MEMORY = 1000  # as `oom_score_adj` counts it (proc(5))
_WORKER_MORE = 200  # than the supervisor: it never has a fifth of the memory


def rss_bytes() -> int:
    """Return the resident memory of this process in bytes; the second number of statm (proc(5)) counts pages."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def make_expendable(pid: int) -> None:
    """Let the out-of-memory killer take a child before this process: a worker is started again, its supervisor is not.

    Without the right to write there nothing changes.
    """
    with suppress(OSError):
        mine = int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii"))
        score = min(_ALL_MEMORY, mine + _WORKER_MORE)
        Path(f"/proc/{pid}/oom_score_adj").write_text(f"{score}", encoding="ascii")
