"""``cdsed add``: check listings, then put them into the inbox."""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.cli.listing import STDIN, as_file
from cdsed.errors import ConfigError, ExitCode, InboxError, StateError, UsageError

if TYPE_CHECKING:
    from cdsed.config.settings import Settings
    from cdsed.model.listing import ListingOptions, Rejected

_REJECTED_SHOWN = 20


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "add",
        help="check listings, then put them into the inbox",
        description="Check listings and put them into the inbox, where each appears only when it is complete. If one "
        "of them cannot be accepted, none is put there.",
    )
    command.add_argument("listings", nargs="+", type=Path, metavar="LISTING", help="file with products; - for stdin")
    command.add_argument("--group", help="use this account group")
    command.add_argument("--priority", type=int, default=0, help="higher numbers come first (default: 0)")
    command.add_argument("--outputdir", type=Path, metavar="DIR", help="publish the products here, not in the spool")
    command.add_argument("--layout", metavar="TEMPLATE", help="directories below it, such as {unit}/{year}/{doy}")
    command.add_argument(
        "--include", action="append", default=[], metavar="PATTERN", help="fetch only these files of each product"
    )
    command.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help="do not fetch these files")
    command.add_argument("--strict", action="store_true", help="refuse a listing in which any line is rejected")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    command.set_defaults(command=run)


@dataclass(frozen=True, slots=True)
class _Content:
    """The result of checking a listing; only the first rejected lines are kept."""

    products: int
    named: int
    rejected: int
    first_rejected: list["Rejected"]


def run(arguments: argparse.Namespace) -> int:
    """Check every listing, then put all of them into the inbox.

    Returns
    -------
    int
        0; raises `InboxError` (65) when one of them cannot be accepted, `UsageError` for options that are not valid.
    """
    from cdsed.config.load import load_settings
    from cdsed.inbox.directory import place_when_accepted, put

    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    settings = load_settings(arguments.config, os.environ)
    options = _options(arguments, settings)
    with _files(arguments.listings) as files:
        ignored = settings.inbox.ignored_names
        refused = [complaint for file in files if (complaint := _complaint(file, ignored, strict=arguments.strict))]
        if refused:
            raise InboxError("\n".join([*refused, "nothing was put into the inbox"]))
        for file in files:
            expected: list[Path] = []  # after it has appeared, the intake may already have used its name

            def expect(target: Path, expected: list[Path] = expected) -> None:
                expected.append(place_when_accepted(target, settings.inbox.path))

            dropped = put(file, settings.inbox.path, options=options, before=expect)
            receipt = expected[-1]
            print(f"put into the inbox: {dropped}")
            print(f"its receipt will be {receipt}.receipt.txt, its report {receipt.name}.report.txt beside it")
    _mention_absent_daemon(settings)
    return ExitCode.OK


def _options(arguments: argparse.Namespace, settings: "Settings") -> "ListingOptions":
    from cdsed.inbox.options import PRIORITY_MAX, layout_of, patterns_of
    from cdsed.model.listing import ListingOptions

    if abs(arguments.priority) > PRIORITY_MAX:
        raise UsageError(f"--priority {arguments.priority} should be from -{PRIORITY_MAX} to {PRIORITY_MAX}")
    if arguments.group is not None:
        groups = _groups(settings)
        if groups is not None and arguments.group not in groups:
            raise UsageError(f"there is no account group {arguments.group!r}; there are {', '.join(groups) or 'none'}")
    # The working directory of the daemon differs from that of this command.
    outputdir = None if arguments.outputdir is None else os.path.abspath(arguments.outputdir)  # noqa: PTH100
    try:
        layout = layout_of(arguments.layout)
        include, exclude = (
            tuple(pattern for given in texts for pattern in patterns_of(given))
            for texts in (arguments.include, arguments.exclude)
        )
    except ValueError as error:
        raise UsageError(f"--layout, --include, --exclude: {error}") from error
    return ListingOptions(arguments.priority, arguments.group, outputdir, layout, include, exclude)


def _groups(settings: "Settings") -> list[str] | None:
    """Return the existing account groups; None when this user may read neither state nor accounts."""
    from cdsed.config.accounts import load_accounts
    from cdsed.process.lock import is_running
    from cdsed.store import snapshot
    from cdsed.store.database import open_read_only

    try:
        db = open_read_only(settings.state_dir, daemon_runs=is_running(settings.state_dir))
        if db is not None:
            try:
                return snapshot.groups(db)
            finally:
                db.close()
    except (StateError, PermissionError):
        pass  # the accounts file may still be readable
    try:
        return sorted(load_accounts(settings, os.environ).groups)
    except (ConfigError, PermissionError):
        return None


@contextmanager
def _files(listings: list[Path]) -> Iterator[list[Path]]:
    """Yield the listings as files for the duration of the block."""
    if listings.count(STDIN) > 1:
        raise UsageError("stdin (-) can be read only once")
    name = f"stdin-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.txt"
    with ExitStack() as stack:
        yield [stack.enter_context(as_file(listing, name)) for listing in listings]


def _complaint(file: Path, ignored_names: Sequence[str], *, strict: bool) -> str | None:
    """Check a listing and print a summary; return why it cannot be accepted, None when it can."""
    from cdsed.inbox.scan import is_ignored
    from cdsed.view.terminal import printable
    from cdsed.view.wording import number, plural

    if is_ignored(file.name, ignored_names):
        return f"{file.name} has a name that the inbox ignores, like those of hidden or unfinished files; rename it"
    try:
        content = _content(file)
    except InboxError as error:
        return str(error)
    rejected = f", {plural(content.rejected, 'line')} rejected" if content.rejected else ""
    products = "products" if content.products == content.named else plural(content.products, "product")
    print(f"{printable(file.name)}: {plural(content.named, 'line')} with {products}{rejected}")
    for line in content.first_rejected:
        print(f"  line {number(line.line)}: {printable(line.message)}")
    if content.rejected > len(content.first_rejected):
        print(f"  and {number(content.rejected - len(content.first_rejected))} more")
    if not content.named:
        return f"{file.name} names no product"
    if strict and content.rejected:
        return f"{file.name} holds {plural(content.rejected, 'line')} that cannot be accepted, and --strict was given"
    return None


def _content(file: Path) -> _Content:
    from cdsed.inbox.options import read_options
    from cdsed.inbox.parse import read_listing
    from cdsed.model.listing import Named, Rejected

    read_options(file)
    products = named = rejected = latest = 0
    first_rejected: list[Rejected] = []
    for line in read_listing(file):
        if isinstance(line, Named):
            products += 1
            named += line.line != latest
            latest = line.line
        if isinstance(line, Rejected):
            rejected += 1
            first_rejected += [line] if rejected <= _REJECTED_SHOWN else []
    return _Content(products, named, rejected, first_rejected)


def _mention_absent_daemon(settings: "Settings") -> None:
    from cdsed.process.lock import is_running

    try:
        if is_running(settings.state_dir):
            return
    except PermissionError:
        return  # the daemon of another user; this user may not see whether it runs
    print("no daemon runs: the listing is read when one starts (`cdsed run`)")
