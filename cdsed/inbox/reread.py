"""Accepted listings with their receipts and reports, read again: what a state can be rebuilt from."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import ijson

from cdsed.dir_handle import mkdir_durable, sync
from cdsed.inbox.place import ACCEPTED, TAKING
from cdsed.inbox.receipt import PAPERS
from cdsed.model.listing import Counts, ListingHead, ReportRow, Verdict
from cdsed.model.product import FINAL, GOOD, State

_TICK_S = 0.01  # so coarse are the kernel's times of files (CONFIG_HZ=100), by which intake knows the order again


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted listing, and whether its report lies beside it."""

    path: Path
    reported: bool

    @property
    def reported_at(self) -> float:
        """When its report was written, UTC s."""
        return _report(self.path).stat().st_mtime


def accepted(root: Path) -> Iterator[Accepted]:
    """Yield the listings in ``.accepted/`` and its groups' directories."""
    top = root / ACCEPTED
    try:
        with os.scandir(top) as entries:
            folders = [Path(entry) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return
    for folder in (top, *sorted(folders)):
        with os.scandir(folder) as entries:
            files = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
        for name in sorted(files):
            if not name.startswith(".") and not name.endswith(PAPERS):
                yield Accepted(folder / name, _report(folder / name).name in files)


def return_to_intake(paths: Iterable[Path], root: Path) -> None:
    """Move accepted listings back to ``.taking/``, from where intake takes them, and writes their papers, anew.

    They go in the order in which they came: who asked first for a product has it in his output directory.
    """
    for path in sorted(paths, key=_came):
        for suffix in PAPERS:
            path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
        target = root / TAKING / path.relative_to(root / ACCEPTED)
        mkdir_durable(target.parent)
        path.rename(target)
        sync(target.parent)
        sync(path.parent)
        time.sleep(_TICK_S)


def read_receipt(path: Path) -> tuple[ListingHead, Counts] | None:
    """Return what the receipt of a listing says of it as a whole; None where there is none that can be read."""
    receipt = _receipt(path)
    try:
        head = next(_items(receipt, "listing"))
        counts = next(_items(receipt, "counts"))
        head["taken_at"] = datetime.fromisoformat(head["taken_at"]).timestamp()
        return ListingHead(**head), Counts(**{verdict.value: int(counts[verdict.value]) for verdict in Verdict})
    except _UNREADABLE:
        return None


def read_report(path: Path) -> Iterator[ReportRow]:
    """Yield the rows of a listing's report; raises ValueError where it cannot be read."""
    for item in _items(_report(path), "products.item"):
        row = ReportRow(**item)
        state = State(row.state)
        told = row.whereabouts if state in GOOD else row.cause or state is State.CANCELLED
        if state not in FINAL or not told:
            raise ValueError(f"the report of {path.name} says too little of {row.safename}")
        yield row


def is_readable(listing: Accepted) -> bool:
    """Tell whether a reported listing's receipt and report can be read to their ends."""
    try:
        states: Counter[str] = Counter(row.state for row in read_report(listing.path))
        return read_receipt(listing.path) is not None and next(_items(_report(listing.path), "states")) == states
    except _UNREADABLE:
        return False


_UNREADABLE = (OSError, ijson.JSONError, KeyError, TypeError, ValueError, StopIteration)


def _came(path: Path) -> tuple[float, int]:
    """Return when a listing was taken, UTC s, and its number: the receipt tells whole seconds."""
    receipt = read_receipt(path)
    return (path.stat().st_mtime, 0) if receipt is None else (receipt[0].taken_at, receipt[0].id)


def _receipt(listing: Path) -> Path:
    return listing.with_name(f"{listing.name}.receipt.json")


def _report(listing: Path) -> Path:
    return listing.with_name(f"{listing.name}.report.json")


def _items(path: Path, prefix: str) -> Iterator[Any]:
    with path.open("rb") as file:
        yield from ijson.items(file, prefix, use_float=True)
