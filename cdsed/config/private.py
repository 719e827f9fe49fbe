"""Files that only their owner reads and that are whole at any moment: replaced in one rename."""

import os
from pathlib import Path

from cdsed.dir_handle import sync


def replace_private(path: Path, text: str) -> None:
    """Give a file of mode 0600 another content, on the disk when this returns; one writer at a time."""
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)  # of a writer who was killed
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    unfinished.replace(path)
    sync(path.parent)
