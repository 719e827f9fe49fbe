"""How late one machine sees what another writes to a shared file system, measured with small files, *markers*."""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

#: A file that is not seen after so long counts as not seen at all; attribute caches of NFS last 60 s at most.
SEEN_WITHIN_S = 60.0

_PREFIX, _BACK = ".check-", ".back"
_POLL_S = 0.05
_LEFT_FOR_S = 3600.0


@contextmanager
def marked(places: Sequence[Path]) -> Iterator[list[Path]]:
    """Write a marker into each directory that can be written, for others to look for; remove them at the end."""
    name = f"{_PREFIX}{uuid.uuid4().hex}"
    written = []
    try:
        for place in places:
            with suppress(OSError):  # what fails here is not the fault of others
                place.mkdir(mode=0o700, exist_ok=True)
                _forget_old(place)
                write_marker(place / name)
                written.append(place / name)
        yield written
    finally:
        for marker in written:
            for path in (marker, answer_of(marker)):
                with suppress(OSError):
                    path.unlink(missing_ok=True)


def write_marker(marker: Path) -> None:
    """Write a file whose content is its name."""
    marker.write_text(marker.name, encoding="ascii")


def answer_of(marker: Path) -> Path:
    """Return the marker that the one who has seen this one writes beside it."""
    return marker.with_name(f"{marker.name}{_BACK}")


def seen_after_s(markers: Sequence[Path], within_s: float) -> list[float | None]:
    """Wait until all markers can be read here; return when each could be, in seconds from now, None: not in time."""
    begun_s = time.monotonic()
    seen: dict[Path, float] = {}
    while True:
        passed_s = time.monotonic() - begun_s
        for marker in markers:
            if marker not in seen and _is_seen(marker):
                seen[marker] = time.monotonic() - begun_s
        if len(seen) == len(set(markers)) or passed_s >= within_s:
            return [seen.get(marker) for marker in markers]
        time.sleep(_POLL_S)


def _is_seen(marker: Path) -> bool:
    try:
        return marker.read_text(encoding="ascii") == marker.name
    except (OSError, UnicodeDecodeError):
        return False


def _forget_old(place: Path) -> None:
    """Remove what a process that was killed has left."""
    for old in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > _LEFT_FOR_S:
                old.unlink()
