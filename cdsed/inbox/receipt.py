"""Write the receipt of a listing at once and its report at the end, each as JSON and as text."""

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from cdsed.clock import iso
from cdsed.inbox.durable_files import DurableFileBatch
from cdsed.inbox.report_writer import JsonWriter, TextWriter
from cdsed.model.layout import PARTIAL
from cdsed.model.listing import Counts, LineVerdict, ListingHead, Remark, ReportRow
from cdsed.model.product_state import SUCCEEDED, State

REPORT_FILES = (".receipt.json", ".receipt.txt", ".report.json", ".report.txt")
"""The suffixes of receipts and reports; the rest of the name is the listing's."""
QUERY_REPORT_FILES = (".query.json", ".query.txt")
"""The suffixes of reports of standing queries, which intake neither makes nor removes."""
NOT_LISTINGS = (*REPORT_FILES, *QUERY_REPORT_FILES)
"""The suffixes of all files beside listings."""

_STATE_COLUMNS = max(map(len, State))
SCHEMA = 2  # of the JSON; it is raised when a member changes its meaning

_SECTIONS = {
    LineVerdict.REJECTED: "Rejected",
    LineVerdict.ALREADY_PRESENT: "Already on disk",
    LineVerdict.KNOWN: "Already known",
    LineVerdict.DUPLICATE: "Duplicates inside this listing",
    LineVerdict.ACCEPTED: "Accepted",
    LineVerdict.IGNORED: "Ignored",
}
_EXCEPTIONS, _DONE = "Not on disk", "On disk"
_PREFIXES = ("B", "kB", "MB", "GB", "TB", "PB")


def write_receipt(
    batch: DurableFileBatch, base: Path, head: ListingHead, counts: Counts, remarks: Iterable[Remark]
) -> None:
    """Write ``<base>.receipt.json`` and ``<base>.receipt.txt``.

    Parameters
    ----------
    batch
        The batch of files with which both appear.
    base
        The path to which the listing is moved; the receipt is beside it.
    remarks
        Read once and not held in memory, so there may be millions.
    """
    with ExitStack() as stack:
        text_file = stack.enter_context(batch.text(_beside(base, ".receipt.txt")))
        json_file = stack.enter_context(batch.text(_beside(base, ".receipt.json")))
        text = stack.enter_context(TextWriter(*_SECTIONS.values()))
        known = {**_json_head(head), "counts": {**asdict(counts), "lines": counts.lines}}
        writer = JsonWriter(json_file, known, "remarks")
        for remark in remarks:
            writer.add(asdict(remark))
            text.add(_SECTIONS[remark.verdict], _words(_line(remark.line), remark.safename, remark.text))
        writer.end({})
        text_file.write(f"Receipt of {_text_head(head)}\n{_sum(counts)}\n")
        text.write_to(text_file)


def write_refusal(batch: DurableFileBatch, base: Path, name: str, reason: str) -> None:
    """Write the receipt of a file that was rejected as a whole."""
    with batch.text(_beside(base, ".receipt.json")) as file:
        JsonWriter(file, {"schema": SCHEMA, "listing": {"name": name}, "refused": reason}, "remarks").end({})
    with batch.text(_beside(base, ".receipt.txt")) as file:
        file.write(f"Receipt of listing {name}\n\nThe file as a whole was rejected: {reason}\n")


def write_report(batch: DurableFileBatch, base: Path, head: ListingHead, rows: Iterable[ReportRow]) -> None:
    """Write ``<base>.report.json`` and ``<base>.report.txt``; `rows` are read once and not held in memory."""
    states: Counter[str] = Counter()
    with ExitStack() as stack:
        text_file = stack.enter_context(batch.text(_beside(base, ".report.txt")))
        json_file = stack.enter_context(batch.text(_beside(base, ".report.json")))
        text = stack.enter_context(TextWriter(_EXCEPTIONS, _DONE))
        writer = JsonWriter(json_file, _json_head(head), "products")
        for row in rows:
            states[row.state] += 1
            writer.add(asdict(row))
            text.add(_DONE if row.state in SUCCEEDED else _EXCEPTIONS, _row(row))
        writer.end({"states": dict(states)})
        by_state = ", ".join(f"{_number(count)} {state}" for state, count in states.most_common())
        total = _plural(states.total(), "product")
        text_file.write(f"Report on {_text_head(head)}\n{total}{': ' if by_state else ''}{by_state}\n")
        text.write_to(text_file)


def _beside(base: Path, suffix: str) -> Path:
    return base.with_name(base.name + suffix)


def _json_head(head: ListingHead) -> dict[str, object]:
    return {"schema": SCHEMA, "listing": {**asdict(head), "taken_at": iso(head.taken_at)}}


def _text_head(head: ListingHead) -> str:
    return (
        f"listing {head.name} (no. {head.id})\n"
        f"dropped by {head.user or 'an unknown user'}, taken {iso(head.taken_at)}\n"
        f"account group {head.group}, priority {head.priority}, into {head.outputdir or 'the spool'}\n"
        + (f"layout {head.layout}\n" if head.layout else "")
        + (f"only the files of {head.choice}; products that lack others are in {PARTIAL}/\n" if head.choice else "")
    )


def _sum(counts: Counts) -> str:
    parts = [
        f"{_number(counts.accepted)} accepted",
        _plural(counts.duplicate, "duplicate"),
        f"{_number(counts.known)} already known",
        f"{_number(counts.already_present)} already on disk",
        f"{_number(counts.rejected)} rejected",
        f"{_number(counts.ignored)} blank, comment or header",
    ]
    return f"{_plural(counts.lines, 'line')}: {', '.join(parts)}"


def _row(row: ReportRow) -> str:
    tried = _plural(row.attempts, "attempt") if row.attempts else None
    size = None if row.size_bytes is None else _size(row.size_bytes)
    state, in_part = f"{row.state:<{_STATE_COLUMNS}}", "in part" if row.partial else None
    return _words(_line(row.line), state, row.safename, row.path, in_part, size, row.cause, tried)


def _words(*words: str | None) -> str:
    """Join the words that are not empty, on one line: a line break would look like another row."""
    return "  ".join(" ".join(word.split("\n")) for word in words if word)


def _line(number: int) -> str:
    return f"line {_number(number):>9}"


def _plural(count: int, word: str) -> str:
    return f"{_number(count)} {word}{'' if count == 1 else 's'}"


def _number(value: int) -> str:
    return f"{value:,}".replace(",", " ")


def _size(size_bytes: int) -> str:
    value, prefixes = float(size_bytes), list(_PREFIXES)
    while value >= 1000 and len(prefixes) > 1:
        value /= 1000
        del prefixes[0]
    return f"{value:.1f} {prefixes[0]}" if size_bytes >= 1000 else f"{size_bytes} B"
