"""Answers of the catalogue kept on disk: whole ones, for a time, shared by processes without a lock."""

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
    """Return where answers are kept: as set, else below ``$XDG_CACHE_HOME``, else below the state."""
    if settings.catalogue.cache_dir:
        return settings.catalogue.cache_dir
    home = environ.get("XDG_CACHE_HOME")
    return Path(home) / "cdsed" if home else settings.state_dir / "cache"


class Cache:
    """Bytes by key; a file appears whole under its name or not at all.

    Where nothing can be written, nothing is kept: that is a warning, once, and no failure.

    Parameters
    ----------
    directory
        Where the files lie; made when something is first kept.
    ttl_s
        Seconds after which what was kept counts no longer.
    clock
        What time it is; ages are told by the files' times of modification.
    """

    def __init__(self, directory: Path, ttl_s: float, clock: Clock) -> None:
        self._directory = directory
        self._ttl_s = ttl_s
        self._clock = clock
        self._has_complained = False

    def read(self, key: str) -> bytes | None:
        """Return what was kept under `key`, None when there is nothing or it is too old."""
        try:
            with self._path(key).open("rb") as file:
                age_s = self._clock.utc_s() - os.fstat(file.fileno()).st_mtime
                return file.read() if self._is_fresh(age_s) else None
        except OSError:
            return None  # the service is asked instead

    def write(self, key: str, body: bytes) -> None:
        """Keep `body` under `key`; of several who write at once, one wins."""
        try:
            self._write(self._path(key), body)
        except OSError as error:
            if not self._has_complained:
                _log.warning("answers are not kept, a search cannot continue after an interruption: %s", error)
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
        """Remove what is too old to count, and drafts that killed processes have left."""
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
        return 0 <= age_s < self._ttl_s  # what comes from the future tells of a clock that jumped

    def _path(self, key: str) -> Path:
        digest = hashlib.sha256(key.encode()).hexdigest()
        return self._directory / digest[:2] / digest
