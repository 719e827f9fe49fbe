"""Code that the commands about listings share: reading a whole listing, and writing one for the inbox."""

import csv
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.errors import InboxError, UsageError

if TYPE_CHECKING:
    from cdsed.model.listing import Named, Rejected

STDIN = Path("-")
COLUMNS = ("id", "safename", "S3Path")
_REJECTED_SHOWN = 20


def add_listing(command: Any) -> None:
    """Add the arguments for a listing, settings and JSON output to a command."""
    command.add_argument("listing", type=Path, metavar="LISTING", help="file with products; - for stdin")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    command.add_argument("--json", action="store_true", help="print JSON; its member `schema` is 2")


@dataclass(frozen=True, slots=True)
class Contents:
    """A listing: its products once each, in its order; the number of duplicates; the rejected lines."""

    name: str
    products: dict[str, "Named"] = field(default_factory=dict)
    duplicates: int = 0
    rejected: tuple["Rejected", ...] = ()


def read_contents(listing: Path) -> Contents:
    """Read a listing of any format; report on stderr the lines that do not name a product.

    Raises
    ------
    InboxError
        It cannot be read, or does not name any product.
    """
    from cdsed.inbox.parse import read_listing
    from cdsed.model.listing import Named, Rejected

    products: dict[str, Named] = {}
    rejected: list[Rejected] = []
    named = 0
    with as_file(listing) as file:
        for line in read_listing(file):
            if isinstance(line, Named):
                named += 1
                products.setdefault(line.safename, line)
            elif isinstance(line, Rejected):
                rejected.append(line)
        contents = Contents(file.name, products, named - len(products), tuple(rejected))
    _complain(contents)
    if not products:
        raise InboxError(f"{contents.name} names no product")
    return contents


@contextmanager
def as_file(listing: Path, name: str = "stdin") -> Iterator[Path]:
    """Yield a listing as a file; stdin is copied to a file of this name for the duration of the block."""
    import shutil
    import tempfile

    if listing != STDIN:
        yield listing
        return
    with tempfile.TemporaryDirectory(prefix="cdsed-") as folder:
        file = Path(folder, name)
        with file.open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        yield file


def _complain(contents: Contents) -> None:
    from cdsed.view.wording import plural

    for line in contents.rejected[:_REJECTED_SHOWN]:
        say(f"line {line.line}: {line.message}")
    if len(contents.rejected) > _REJECTED_SHOWN:
        say(f"and {plural(len(contents.rejected) - _REJECTED_SHOWN, 'more line')} that cannot be accepted")
    if contents.duplicates:
        say(f"{plural(contents.duplicates, 'line')} named a product again")


def say(text: str) -> None:
    """Print a message for the user on stderr, so that it is not part of the output."""
    from cdsed.view.terminal import printable

    print(printable(text), file=sys.stderr)


def check_output(output: Path | None) -> None:
    """Raise UsageError unless the output file can be written; call it before the work."""
    if output is None:
        return
    if output.is_dir():
        raise UsageError(f"{output} is a directory; name a file")
    if not output.parent.is_dir():
        raise UsageError(f"{output}: there is no directory {output.parent}")


def write_listing(rows: Iterable[Sequence[str | None]], output: Path | None, columns: Sequence[str] = COLUMNS) -> None:
    """Write a listing as CSV to stdout, or to a file that appears only when it is complete."""
    from cdsed.inbox.report_writer import atomic_text

    if output is None:
        _write(rows, columns, sys.stdout)
        return
    with atomic_text(output) as file:
        _write(rows, columns, file)


def _write(rows: Iterable[Sequence[str | None]], columns: Sequence[str], file: Any) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def rejected_lines(contents: Contents) -> list[dict[str, Any]]:
    """Return the rejected lines for JSON."""
    from dataclasses import asdict

    return [asdict(line) for line in contents.rejected]


def drop_stdout() -> None:
    """Write to nowhere: the reader, e.g. head, has closed the pipe. See the Python documentation on SIGPIPE."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
