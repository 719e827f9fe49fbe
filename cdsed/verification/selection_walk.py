"""Which products a run verifies: those that the state has on disk, read page by page."""

import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cdsed.config.settings import Settings
from cdsed.errors import StateError
from cdsed.local.marker import look
from cdsed.process.lock import is_running
from cdsed.store import disks, on_disk
from cdsed.store.database import FILE_NAME, Database, Row, open_read_only
from cdsed.verification.batch_wire import RootMark, Subject

_PAGE_ROWS = 5000


class SelectionWalk:
    """Reads the products of a run, from the first to the last, as often as need be.

    The state is opened for each page: a run takes hours, and the daemon may start or stop meanwhile.

    Parameters
    ----------
    chosen
        The numbers of the products; None: all that are on disk.

    Raises
    ------
    StateError
        The state is gone, or is another one than before.
    """

    def __init__(self, settings: Settings, chosen: Collection[int] | None) -> None:
        self._state_dir = settings.state_dir
        self._inode = _inode(self._state_dir)
        self._chosen = None if chosen is None else frozenset(chosen)

    def subjects(self, wanted: Callable[[Subject], bool] = lambda _: True) -> Iterator[Subject]:
        """Yield the products, by number."""
        after = -1
        while rows := self._page(after):
            after = rows[-1]["position"]
            for row in rows:
                if self._chosen is None or row["position"] in self._chosen:
                    subject = _subject(row)
                    if wanted(subject):
                        yield subject

    def now(self, positions: Iterable[int]) -> dict[int, Subject]:
        """Return those of some products that are on disk now, by number."""
        with opened(self._state_dir) as db:
            rows = [row for each in positions for row in self._rows(db, each - 1, 1) if row["position"] == each]
        return {row["position"]: _subject(row) for row in rows}

    def _page(self, after: int) -> list[Row]:
        with opened(self._state_dir) as db:
            return self._rows(db, after, _PAGE_ROWS)

    def _rows(self, db: Database | None, after: int, most: int) -> list[Row]:
        if db is None or _inode(self._state_dir) != self._inode:
            raise StateError(f"the state in {self._state_dir} is gone or was replaced: start this command again")
        return list(on_disk.page(db, after, most))


def _inode(state_dir: Path) -> int:
    try:
        return (state_dir / FILE_NAME).stat().st_ino
    except FileNotFoundError:
        return 0


@contextmanager
def opened(state_dir: Path) -> Iterator[Database | None]:
    """Open a state for reading; None if it does not exist."""
    db = open_read_only(state_dir, daemon_runs=is_running(state_dir))
    try:
        yield db
    finally:
        if db is not None:
            db.close()


def root_marks(db: Database, settings: Settings) -> list[RootMark]:
    """Return the directories of products, with the markers by which each is recognised, the innermost first."""
    marks = {place: _marker(db, place) for place in {*disks.places(db), *settings.spools}}
    marks |= {each.root: "" for each in settings.archives if each.root not in marks}
    return [RootMark(str(root), marks[root]) for root in sorted(marks, key=lambda root: -len(root.parts))]


def _marker(db: Database, place: Path) -> str:
    """Return the marker of a directory; '' without one that this user can read, or if it was removed from there."""
    try:
        seen = look(place)
    except OSError:
        return ""
    known = disks.get(db, place)
    if known is None or (seen and not seen.marker and not known.is_lost(seen)):
        return seen.marker if seen else ""
    return known.marker


def _subject(row: Row) -> Subject:
    text = f"{row['path']}\0{row['partial']}\0{row['changed_at']}"
    stamp = zlib.crc32(text.encode(errors="surrogateescape")) or 1
    return Subject(row["position"], row["safename"], row["path"], bool(row["partial"]), row["size_bytes"], stamp)
