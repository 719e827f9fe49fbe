"""Write and move many files durably in one batch: a disk syncs a hundred in the time of a few."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from cdsed.dir_handle import sync

_FEW = 4  # for so few, threads are not faster
_SYNCS_AT_ONCE = 16  # the journal commits together what waits for it together


class DurableFileBatch:
    """Files that appear complete, and moves after them, when the context ends without an error; else neither."""

    def __init__(self) -> None:
        self._files: list[tuple[Path, Path]] = []
        self._moves: list[tuple[Path, Path]] = []
        self._directories: dict[Path, None] = {}
        self._made: set[Path] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._appear()
                self._move()
        finally:
            for hidden, _ in self._files:
                hidden.unlink(missing_ok=True)

    @contextmanager
    def text(self, path: Path) -> Iterator[IO[str]]:
        """Open a text file that will appear under this name."""
        self._make(path.parent)
        hidden = path.with_name(f".{path.name}.tmp")
        self._files.append((hidden, path))
        with hidden.open("w", encoding="utf-8", newline="\n") as file:
            yield file

    def move(self, source: Path, target: Path) -> None:
        """Move a file after the new ones have appeared; skip it if it is gone by then."""
        self._make(target.parent)
        self._moves.append((source, target))

    def moved(self, source: Path, target: Path) -> None:
        """Sync the directories of a move that was already made."""
        self._directories |= dict.fromkeys((target.parent, source.parent))

    def _make(self, directory: Path) -> None:
        if directory in self._made:  # checking it and its parents for each file takes longer than writing the file
            return
        self._made.add(directory)
        missing = [folder for folder in (directory, *directory.parents) if not folder.exists()]
        directory.mkdir(parents=True, exist_ok=True)
        self._directories |= dict.fromkeys(folder.parent for folder in missing)

    def _appear(self) -> None:
        at_once(sync, [hidden for hidden, _ in self._files])
        for hidden, path in self._files:
            hidden.replace(path)
            self._directories[path.parent] = None
        at_once(_sync_names, self._directories)

    def _move(self) -> None:
        directories: dict[Path, None] = {}
        for source, target in self._moves:
            with suppress(FileNotFoundError):
                source.rename(target)
            directories |= dict.fromkeys((target.parent, source.parent))
        at_once(_sync_names, directories)


def _sync_names(directory: Path) -> None:
    with suppress(FileNotFoundError):  # the sub-directory of a group was removed: it has no names to sync
        sync(directory)


def at_once(do: Callable[[Path], None], paths: Collection[Path]) -> None:
    """Sync paths; many of them in threads."""
    if len(paths) <= _FEW:
        for path in paths:
            do(path)
        return
    with ThreadPoolExecutor(min(_SYNCS_AT_ONCE, len(paths))) as pool:
        list(pool.map(do, paths))
