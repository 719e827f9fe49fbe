"""Write files that only their owner may read, and replace them by one rename, so that they are always complete."""

import os
from pathlib import Path

from cdsed.dir_handle import sync


def replace_private(path: Path, text: str) -> None:
    """Replace a file by one of mode 0600 with this text, on the disk when this returns; one writer at a time."""
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)  # left by a writer that was killed
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    unfinished.replace(path)
    sync(path.parent)
