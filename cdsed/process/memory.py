"""The memory of this process."""

import os
from pathlib import Path


def rss_bytes() -> int:
    """Return the resident memory of this process in bytes; the second number of statm (proc(5)) counts pages."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
