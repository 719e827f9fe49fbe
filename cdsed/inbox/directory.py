"""The directories of the inbox, and moves between them that lose no listing if the process is killed.

A listing goes from the inbox to ``.taking/``, then to ``.accepted/`` or ``.rejected/``; in each it keeps its group's
sub-directory. Only intake, one process, moves listings. Every user with access to the inbox may put them.
"""

import os
import secrets
import shlex
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from itertools import chain, count
from pathlib import Path, PurePath

from cdsed.dir_handle import mkdir_durable, name_bytes_max, sync
from cdsed.errors import InboxError
from cdsed.inbox.durable_files import DurableFileBatch, at_once
from cdsed.inbox.options import read_options
from cdsed.inbox.receipt import NOT_LISTINGS
from cdsed.inbox.scan import is_ignored
from cdsed.inbox.source import open_listing
from cdsed.model.listing import ListingOptions

TAKING = ".taking"
ACCEPTED = ".accepted"
REJECTED = ".rejected"

_NAME_BYTES_MAX = 200  # a file name has 255 at most, fewer on an encrypted disk
_ADDED_BYTES = 30  # such as "-100000", ".receipt.json" and what a temporary file has around its name
_SUFFIX_BYTES_MAX = 20
_UNFINISHED_FOR_S = 86_400.0


def prepare(root: Path, *, used: bool) -> int:
    """Make the inbox and the directories of cdsed in it.

    Parameters
    ----------
    used
        Whether the state knows listings in it. Then a missing inbox is an error, and is not made.

    Returns
    -------
    int
        The number of its file system, for `check_mounted`.

    Raises
    ------
    InboxError
        A link or a file is in place of a directory, so that writes would go elsewhere; or the inbox is not mounted.
    """
    if used:
        _expect_ours(root)
    for folder in (TAKING, ACCEPTED, REJECTED):
        mkdir_durable(root / folder)
        if (root / folder).is_symlink():
            raise InboxError(f"{root / folder} is a symbolic link; remove it, so that cdsed can make a directory there")
    return root.stat().st_dev


def check_mounted(root: Path, device: int) -> None:
    """Check that the inbox is not the mount point of an unmounted disk: files written there would be hidden later.

    A network disk that is mounted again may get another number, but it has the directories of cdsed.

    Raises
    ------
    InboxError
        It is on another file system than before, which has no directories of cdsed.
    OSError
        It does not exist, or does not respond.
    """
    if root.stat().st_dev != device:
        _expect_ours(root)


def _expect_ours(root: Path) -> None:
    ours = root / ACCEPTED
    if not ours.is_dir():
        raise InboxError(f"its disk is not mounted; to use what is there now: mkdir -p {shlex.quote(str(ours))}")


def sync_contents(paths: Collection[Path]) -> None:
    """Write dropped files to the disk before they are taken: the programs that put them there seldom do.

    Else a power cut can leave a part of a file in ``.taking/``, and nothing would tell that it is not the whole.
    """
    at_once(_sync_content, paths)


def _sync_content(path: Path) -> None:
    with suppress(InboxError), open_listing(path) as file:  # what cannot be opened is refused when it is read
        os.fsync(file.fileno())


def take(path: Path, root: Path, batch: DurableFileBatch) -> Path:
    """Move a dropped file to ``.taking/``, under a name that is free there, in ``.accepted/`` and in ``.rejected/``.

    Returns
    -------
    Path
        Where it is now. It keeps this name, after which its receipt and report are named.
    """
    target = root / TAKING / path.relative_to(root).parent / _free_name(path, root)
    mkdir_durable(target.parent)
    path.rename(target)
    batch.moved(path, target)
    return target


def place_when_accepted(path: Path, root: Path) -> Path:
    """Return where a dropped file will be once accepted, unless another of the same name is taken first."""
    return root / ACCEPTED / path.relative_to(root).parent / _free_name(path, root)


def taken(root: Path) -> list[Path]:
    """Return the files in ``.taking/``, in the order of their moves; after a start, a kill has left them."""
    found = [
        (path.lstat().st_ctime_ns, path.lstat().st_mtime_ns, path)
        for path in (root / TAKING).rglob("*")
        if not (path.name.startswith(".") or stat.S_ISDIR(path.lstat().st_mode))
    ]
    return [path for *_, path in sorted(found)]


def finished(listing: Path, root: Path, *, accepted: bool) -> Path:
    """Return the path of a taken listing in ``.accepted/`` or ``.rejected/``, where it may be already.

    A file that another program has put there is never overwritten.
    """
    target = root / (ACCEPTED if accepted else REJECTED) / listing.relative_to(root / TAKING)
    if not (os.path.lexists(target) and os.path.lexists(listing)):
        return target
    return next(path for name in _names(target) if not os.path.lexists(path := target.with_name(name)))


def count_try(listing: Path, items_taken: int) -> int:
    """Record beside a listing, which a dead process left in ``.taking/``, that it is tried again from this item.

    Returns
    -------
    int
        How often it was tried since it last advanced: the listing itself may crash its reader.
    """
    tries = _tries(listing)
    tries.parent.mkdir(parents=True, exist_ok=True)
    with tries.open("a+", encoding="ascii") as file:
        file.write(f"{items_taken}\n")
        file.seek(0)
        return file.read().split("\n").count(str(items_taken))


def forget_tries(listing: Path) -> None:
    """Forget how often a listing was tried."""
    _tries(listing).unlink(missing_ok=True)


def put(
    source: Path,
    root: Path,
    group: str | None = None,
    options: ListingOptions | None = None,
    before: Callable[[Path], None] = lambda _: None,
) -> Path:
    """Copy a listing into the inbox, where it appears complete and under a name that is free.

    Parameters
    ----------
    group
        The sub-directory to use, made if it is missing; None for the inbox itself.
    options
        Options that override those of the listing's first line. A line with them is put in front.
    before
        Called with each path that is tried, just before the listing appears there and may be taken.

    Raises
    ------
    InboxError
        The source is not a listing, its name is one that the inbox ignores, its options are wrong, or the inbox
        cannot be written.
    """
    if is_ignored(source.name):
        raise InboxError(f"the inbox ignores files named like {source.name}; rename it")
    head = _options_line(read_options(source), options or ListingOptions())
    directory = root / group if group else root
    hidden = directory / f".put-{secrets.token_hex(8)}.tmp"
    try:
        _make_group(directory, root)
        _forget_unfinished(directory)
        with open_listing(source) as original, hidden.open("wb") as copy:
            _let_the_daemon_read(copy.fileno(), root)
            copy.write(head)
            shutil.copyfileobj(original, copy)
            copy.flush()
            os.fsync(copy.fileno())
        target = _link(hidden, directory, source, before)
        sync(directory)
    except OSError as error:
        raise InboxError(f"{source.name} cannot be put into {directory}: {error.strerror}") from error
    finally:
        with suppress(OSError):  # without the directory, the file does not exist either
            hidden.unlink()
    return target


def _forget_unfinished(directory: Path) -> None:
    """Remove what a killed `put` left a day ago or earlier; a younger one may still be written."""
    for path in directory.glob(".put-*.tmp"):
        with suppress(OSError):  # it is another user's, or has just appeared under its name
            if time.time() - path.stat().st_mtime > _UNFINISHED_FOR_S:
                path.unlink()


def _make_group(directory: Path, root: Path) -> None:
    """Make the sub-directory of a group if it is missing, with the mode of the inbox whatever the umask."""
    with suppress(FileExistsError, PermissionError):  # a sandbox may forbid setgid
        directory.mkdir()
        directory.chmod(stat.S_IMODE(root.stat().st_mode))


def _let_the_daemon_read(file: int, root: Path) -> None:
    """Let the group of the inbox read a new file whatever the umask: the daemon may be another user.

    Raises
    ------
    InboxError
        It cannot be done, because the file has another group than the inbox.
    """
    inbox = root.stat()
    with suppress(PermissionError):  # without setgid on the directory, a file gets the group of the user who makes it
        os.fchown(file, -1, inbox.st_gid)
    ours = os.fstat(file)
    if ours.st_gid == inbox.st_gid and inbox.st_mode & stat.S_IXGRP:
        os.fchmod(file, stat.S_IMODE(ours.st_mode) | stat.S_IRGRP)
        return
    if inbox.st_uid != ours.st_uid and not ours.st_mode & stat.S_IROTH:
        raise InboxError(
            f"the daemon could not read what you put into {root}: your umask keeps others out, and new files do "
            f"not get the group of the inbox; run `umask 022` first, or let its owner run: "
            f"chmod g+s {shlex.quote(str(root))}"
        )


def _options_line(own: ListingOptions, given: ListingOptions) -> bytes:
    """Return the line to put in front; empty if the listing's own first line says the same."""
    chooses = given if given.include or given.exclude else own
    wanted = ListingOptions(
        given.priority or own.priority,
        given.group or own.group,
        given.outputdir or own.outputdir,
        given.layout or own.layout,
        chooses.include,
        chooses.exclude,
    )
    if wanted == own:
        return b""
    words = [f"priority={wanted.priority}"]
    words += [f"group={wanted.group}"] if wanted.group else []
    words += [shlex.quote(f"outputdir={wanted.outputdir}")] if wanted.outputdir else []
    words += [shlex.quote(f"layout={wanted.layout}")] if wanted.layout else []
    words += [shlex.quote(f"include={','.join(wanted.include)}")] if wanted.include else []
    words += [shlex.quote(f"exclude={','.join(wanted.exclude)}")] if wanted.exclude else []
    return f"# cdsed: {' '.join(words)}\n".encode()


def _link(hidden: Path, directory: Path, source: Path, before: Callable[[Path], None]) -> Path:
    """Give a file a second, visible name; unlike a rename, this never replaces another file."""
    for name in _names(source):
        before(directory / name)
        try:
            os.link(hidden, directory / name)
        except FileExistsError:
            continue
        break
    return directory / name


def _free_name(path: Path, root: Path) -> str:
    """Return the name that a dropped file keeps: free in every directory to which it may be moved."""
    folders = [root / folder / path.relative_to(root).parent for folder in (TAKING, ACCEPTED, REJECTED)]
    plain = path.with_name(_plain_name(path.name, min(_NAME_BYTES_MAX, name_bytes_max(root) - _ADDED_BYTES)))
    return next(name for name in _names(plain) if not any(os.path.lexists(folder / name) for folder in folders))


def _plain_name(name: str, bytes_max: int) -> str:
    """Return a name that can be shown: printable, not that of a receipt or report, and short enough for theirs."""
    plain = "".join(each if each.isprintable() else "_" for each in name)
    for report_file in NOT_LISTINGS:
        plain = (
            plain.removesuffix(report_file) + report_file.replace(".", "-", 1) if plain.endswith(report_file) else plain
        )
    if len(plain.encode()) <= bytes_max:
        return plain
    suffix = PurePath(plain).suffix
    suffix = suffix if len(suffix.encode()) <= _SUFFIX_BYTES_MAX else ""
    return plain.encode()[: bytes_max - len(suffix.encode())].decode(errors="ignore") + suffix


def _names(path: Path) -> Iterator[str]:
    """Yield the name of a path, then ``name-2.txt``, ``name-3.txt`` and so on."""
    return chain([path.name], (f"{path.stem}-{number}{path.suffix}" for number in count(2)))


def _tries(listing: Path) -> Path:
    return listing.with_name(f".{listing.name}.tries")
