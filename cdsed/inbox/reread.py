"""Read accepted listings with their receipts and reports again, to rebuild a state."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from cdsed.dir_handle import mkdir_durable, sync
from cdsed.frozen import frozen
from cdsed.inbox.directory import ACCEPTED, TAKING
from cdsed.inbox.receipt import NOT_LISTINGS, REPORT_FILES
from cdsed.model.listing import Counts, LineVerdict, ListingHead, ReportRow
from cdsed.model.product_state import SUCCEEDED, TERMINAL, State

_TICK_S = 0.01  # resolution of the kernel's file times (CONFIG_HZ=100), by which intake restores the order


@frozen
class Accepted:
    """An accepted listing, and whether its report is beside it."""

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
            if not name.startswith(".") and not name.endswith(NOT_LISTINGS):
                yield Accepted(folder / name, _report(folder / name).name in files)


def return_to_intake(paths: Iterable[Path], root: Path) -> None:
    """Move accepted listings back to ``.taking/``, and remove their receipts and reports; intake takes them again.

    They keep the order in which they came, because a product goes to the output directory of the first request.
    """
    for path in sorted(paths, key=_came):
        for suffix in REPORT_FILES:
            path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
        target = root / TAKING / path.relative_to(root / ACCEPTED)
        mkdir_durable(target.parent)
        path.rename(target)
        sync(target.parent)
        sync(path.parent)
        time.sleep(_TICK_S)


def read_receipt(path: Path) -> tuple[ListingHead, Counts] | None:
    """Return the head and the counts of a listing from its receipt; None if the receipt cannot be read."""
    receipt = _receipt(path)
    try:
        head = next(_items(receipt, "listing"))
        counts = _in_words_of_today(next(_items(receipt, "counts")))
        head |= {name: tuple(head.get(name, ())) for name in ("include", "exclude")}
        head["taken_at"] = datetime.fromisoformat(head["taken_at"]).timestamp()
        return ListingHead(**head), Counts(**{verdict.value: int(counts[verdict.value]) for verdict in LineVerdict})
    except _UNREADABLE:
        return None


def read_report(path: Path) -> Iterator[ReportRow]:
    """Yield the rows of a listing's report; raises ValueError if a row is incomplete."""
    for item in _items(_report(path), "products.item"):
        row = ReportRow(**_in_words_of_today(item))
        state = State(row.state)
        message = row.path if state in SUCCEEDED else row.cause or state is State.CANCELLED
        if state not in TERMINAL or not message:
            raise ValueError(f"the report of {path.name} says too little of {row.safename}")
        yield row


def is_readable(listing: Accepted) -> bool:
    """Tell whether a reported listing's receipt and report can be read to their ends."""
    try:
        states: Counter[str] = Counter(row.state for row in read_report(listing.path))
        return read_receipt(listing.path) is not None and (
            _in_words_of_today(next(_items(_report(listing.path), "states"))) == states
        )
    except _UNREADABLE:
        return False


def _in_words_of_today(item: dict[str, Any]) -> dict[str, Any]:
    """Return an object of a receipt or report of schema 1 or 2 with the names of schema 2."""
    words = {_FORMER_WORDS.get(name, name): value for name, value in item.items()}
    if "state" in words:
        words["state"] = _FORMER_WORDS.get(words["state"], words["state"])
    return words


_FORMER_WORDS = {"present": "already_present", "missing": "unavailable", "whereabouts": "path"}
_UNREADABLE = (OSError, KeyError, TypeError, ValueError, StopIteration)


def _came(path: Path) -> tuple[float, int]:
    """Return when a listing was taken (UTC s) and its number, because the receipt has only whole seconds."""
    receipt = read_receipt(path)
    return (path.stat().st_mtime, 0) if receipt is None else (receipt[0].taken_at, receipt[0].id)


def _receipt(listing: Path) -> Path:
    return listing.with_name(f"{listing.name}.receipt.json")


def _report(listing: Path) -> Path:
    return listing.with_name(f"{listing.name}.report.json")


def _items(path: Path, prefix: str) -> Iterator[Any]:
    import ijson  # the supervisor hardly ever reads any

    with path.open("rb") as file:
        try:
            yield from ijson.items(file, prefix, use_float=True)
        except ijson.JSONError as error:
            raise ValueError(f"{path} is not JSON: {error}") from error
