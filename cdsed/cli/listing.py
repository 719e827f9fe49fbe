"""What the commands about listings share: reading one whole, and writing one that the inbox takes."""

import csv
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
    """Let a command have a listing, an output file, settings, and an answer in JSON."""
    command.add_argument("listing", type=Path, metavar="LISTING", help="file with products; - for stdin")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the usual places)")
    command.add_argument("--json", action="store_true", help="print JSON; its member `schema` is 2")


@dataclass(frozen=True, slots=True)
class Contents:
    """A listing: each product once, in its order; how often one was named again; the lines that name none."""

    name: str
    products: dict[str, "Named"] = field(default_factory=dict)
    duplicates: int = 0
    rejected: tuple["Rejected", ...] = ()


def read_contents(listing: Path) -> Contents:
    """Read a listing of any format; complain on stderr about lines that name no product.

    Raises
    ------
    InboxError
        It cannot be read, or names no product at all.
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
    """Give a listing as a file; what comes from stdin is one of this name for as long as the block lasts."""
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
        say(f"and {plural(len(contents.rejected) - _REJECTED_SHOWN, 'more line')} that cannot be taken")
    if contents.duplicates:
        say(f"{plural(contents.duplicates, 'line')} named a product again")


def say(text: str) -> None:
    """Tell a person something that must not get into the output."""
    from cdsed.view.terminal import printable

    print(printable(text), file=sys.stderr)


def check_output(output: Path | None) -> None:
    """Raise UsageError unless a file can be put there; sooner than the work that it is for."""
    if output is None:
        return
    if output.is_dir():
        raise UsageError(f"{output} is a directory; name a file")
    if not output.parent.is_dir():
        raise UsageError(f"{output}: there is no directory {output.parent}")


def write_listing(rows: Iterable[Sequence[str | None]], output: Path | None, columns: Sequence[str] = COLUMNS) -> None:
    """Write a listing as CSV to stdout, or to a file that appears whole."""
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
    """Return the lines that name no product, for JSON."""
    from dataclasses import asdict

    return [asdict(line) for line in contents.rejected]
