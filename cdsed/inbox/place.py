"""Where listings lie in the inbox, and moving them so that a kill at any instant loses none.

A listing goes from the inbox to ``.taking/``, then to ``.accepted/`` or ``.rejected/``; below each it keeps
its group's sub-directory. Only one process, intake, takes and settles; anybody may put.
"""

import os
import secrets
import shlex
import shutil
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path

from cdsed.errors import InboxError
from cdsed.inbox.parse import read_options
from cdsed.inbox.scan import is_left_alone
from cdsed.inbox.source import open_listing
from cdsed.model.listing import ListingOptions

TAKING = ".taking"
ACCEPTED = ".accepted"
REJECTED = ".rejected"


def take(path: Path, root: Path) -> Path:
    """Move a dropped file to ``.taking/``, under a name free there, in ``.accepted/`` and in ``.rejected/``.

    Returns
    -------
    Path
        Where it is now. The name stays until its end: receipts and reports are named after it.
    """
    return _move(path, root / TAKING / path.relative_to(root).parent / _free_name(path, root))


def place_when_accepted(path: Path, root: Path) -> Path:
    """Return where a dropped file will lie once it is accepted, unless one of its name comes before it."""
    return root / ACCEPTED / path.relative_to(root).parent / _free_name(path, root)


def taken(root: Path) -> list[Path]:
    """Return what lies in ``.taking/``, oldest first: after a start, the listings that a kill left behind."""
    found = [path for path in (root / TAKING).rglob("*") if path.is_file()]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path))


def settle(listing: Path, root: Path, accepted: bool) -> Path:
    """Move a taken listing to ``.accepted/`` or ``.rejected/``; if that was done already, only find it.

    Raises
    ------
    FileNotFoundError
        It is neither in ``.taking/`` nor where it should go.
    """
    target = root / (ACCEPTED if accepted else REJECTED) / listing.relative_to(root / TAKING)
    if os.path.lexists(target):
        if not os.path.lexists(listing):
            sync_directory(target.parent)
            return target
        target = next(path for name in _names(target) if not os.path.lexists(path := target.with_name(name)))
    return _move(listing, target)


def put(source: Path, root: Path, group: str | None = None, options: ListingOptions | None = None) -> Path:
    """Copy a listing into the inbox, where it appears whole and under a name nobody has.

    Parameters
    ----------
    group
        The sub-directory to use, made where it is missing; None for the inbox itself.
    options
        What they give wins over the listing's own first line; for it, one line is put in front.

    Raises
    ------
    InboxError
        The source is no listing, its name is one that is left alone, its options cannot be followed, or the
        inbox cannot be written.
    """
    if is_left_alone(source.name):
        raise InboxError(f"the inbox leaves files named like {source.name} alone; rename it")
    head = _options_line(read_options(source), options or ListingOptions())
    directory = root / group if group else root
    hidden = directory / f".put-{secrets.token_hex(8)}.tmp"
    try:
        directory.mkdir(exist_ok=True)
        with open_listing(source) as original, hidden.open("wb") as copy:
            copy.write(head)
            shutil.copyfileobj(original, copy)
            copy.flush()
            os.fsync(copy.fileno())
        target = _link(hidden, directory, source)
        sync_directory(directory)
    except OSError as error:
        raise InboxError(f"{source.name} cannot be put into {directory}: {error.strerror}") from error
    finally:
        hidden.unlink(missing_ok=True)
    return target


def sync_directory(directory: Path) -> None:
    """Make renames in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _options_line(own: ListingOptions, given: ListingOptions) -> bytes:
    """Return the line that must come first; nothing when the listing's own says it already."""
    wanted = ListingOptions(given.priority or own.priority, given.group or own.group, given.outputdir or own.outputdir)
    if wanted == own:
        return b""
    words = [f"priority={wanted.priority}"]
    words += [f"group={wanted.group}"] if wanted.group else []
    words += [shlex.quote(f"outputdir={wanted.outputdir}")] if wanted.outputdir else []
    return f"# cdsed: {' '.join(words)}\n".encode()


def _link(hidden: Path, directory: Path, source: Path) -> Path:
    """Give a file a second, visible name; unlike a rename, this never replaces somebody else's."""
    for name in _names(source):
        try:
            os.link(hidden, directory / name)
        except FileExistsError:
            continue
        break
    return directory / name


def _free_name(path: Path, root: Path) -> str:
    """Return the name a dropped file keeps to its end: free in every folder it may come to."""
    folders = [root / folder / path.relative_to(root).parent for folder in (TAKING, ACCEPTED, REJECTED)]
    return next(name for name in _names(path) if not any(os.path.lexists(folder / name) for folder in folders))


def _names(path: Path) -> Iterator[str]:
    """Yield the name of a path, then ``name-2.txt``, ``name-3.txt`` and so on."""
    return chain([path.name], (f"{path.stem}-{number}{path.suffix}" for number in count(2)))


def _move(source: Path, target: Path) -> Path:
    _make_lasting(target.parent)
    source.rename(target)
    sync_directory(target.parent)
    sync_directory(source.parent)
    return target


def _make_lasting(directory: Path) -> None:
    """Make a directory and those above it, each entered in its parent for good."""
    if not directory.is_dir():
        _make_lasting(directory.parent)
        directory.mkdir(exist_ok=True)
        sync_directory(directory.parent)
