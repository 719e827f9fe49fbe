"""A program that uploads a listing into an inbox, as most do: in parts, and without a sync.

Run it as ``python -m tests.soak.power.upload_program SOURCE TARGET SECONDS [WRITTEN_AS]``. It writes TARGET in place,
or WRITTEN_AS, which it then renames.
"""

import sys
import time
from pathlib import Path

_PARTS = 12


def main() -> None:
    """Write parts, slowly."""
    source, target, seconds, *others = sys.argv[1:]
    content, written = Path(source).read_bytes(), Path(*others) if others else Path(target)
    part_bytes = -(-len(content) // _PARTS)
    with written.open("wb", buffering=0) as file:
        for at in range(0, len(content), part_bytes):
            file.write(content[at : at + part_bytes])
            time.sleep(float(seconds) / _PARTS)
    if others:
        written.rename(target)


if __name__ == "__main__":
    main()
