"""A cache of whole catalogue responses on disk, shared by processes without a lock."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cdsed.clock import Clock
from cdsed.config.settings import Settings

_LEFT_OVER_AFTER_S = 3600.0

_log = logging.getLogger(__name__)


def cache_directory(settings: Settings, environ: Mapping[str, str]) -> Path:
    """Return the directory of the cache: as set, else below ``$XDG_CACHE_HOME``, else below the state."""
    if settings.catalogue.cache_dir:
        return settings.catalogue.cache_dir
    home = environ.get("XDG_CACHE_HOME")
    return Path(home) / "cdsed" if home else settings.state_dir / "cache"


def footprints_directory(settings: Settings, environ: Mapping[str, str]) -> Path:
    """Return the directory of the footprints that the daemon keeps for the page."""
    return cache_directory(settings, environ) / "footprints"


class Cache:
    """Bytes by key; a file appears under its name only when it is complete.

    When the disk cannot be written, nothing is cached; this is logged once and raises no error.

    Parameters
    ----------
    directory
        Where the files are; made with the first entry.
    ttl_s
        Seconds after which an entry has expired.
    clock
        What time it is; the age of an entry is that of its file's modification time.
    """

    def __init__(self, directory: Path, ttl_s: float, clock: Clock) -> None:
        self._directory = directory
        self._ttl_s = ttl_s
        self._clock = clock
        self._has_complained = False

    def read(self, key: str) -> bytes | None:
        """Return the entry of `key`; None when it is absent or has expired."""
        try:
            with self._path(key).open("rb") as file:
                age_s = self._clock.utc_s() - os.fstat(file.fileno()).st_mtime
                return file.read() if self._is_fresh(age_s) else None
        except OSError:
            return None  # the service is asked instead

    def write(self, key: str, body: bytes) -> None:
        """Store `body` under `key`; of several processes that write at once, the last one wins."""
        try:
            self._write(self._path(key), body)
        except OSError as error:
            if not self._has_complained:
                _log.warning("responses are not cached, so a search cannot be resumed after an interruption: %s", error)
            self._has_complained = True

    def _write(self, path: Path, body: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(prefix="draft.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            now_s = self._clock.utc_s()
            os.utime(draft, (now_s, now_s))
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise

    def prune(self) -> None:
        """Remove expired entries, and drafts that killed processes have left."""
        now_s = self._clock.utc_s()
        for path in self._directory.glob("??/*"):
            try:
                age_s = now_s - path.stat().st_mtime
                is_draft = path.name.startswith("draft.")
                if age_s > _LEFT_OVER_AFTER_S if is_draft else not self._is_fresh(age_s):
                    path.unlink()
            except OSError:
                continue  # another process was faster, or the disk is read-only

    def _is_fresh(self, age_s: float) -> bool:
        return 0 <= age_s < self._ttl_s  # a time in the future means that the clock was changed

    def _path(self, key: str) -> Path:
        digest = hashlib.sha256(key.encode()).hexdigest()
        return self._directory / digest[:2] / digest
