"""Publishing: a verified product appears under its final name in one rename, and stays there.

Order: fetching has already synced the files. Then the directories are synced, then the rename is done, then both
parents are synced. Only after that, the caller commits ``done``.
"""

import errno
import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cdsed.dir_handle import DirHandle, Stamp, mkdir_durable
from cdsed.transfer.disk_sync import DISK_SYNC
from cdsed.transfer.s3_errors import on_disk
from cdsed.transfer.staging import discard, pre_spool

NEAR = ".cdsed"  # on the destination's file system, when the pre-spool is on another one
_BLOCK_BYTES = 2**20
#: Suffix of a copy on the destination's file system, from which it is renamed.
COPY_SUFFIX = ".copy"
#: Below the pre-spool: what was under the final name. cdsed never removes it, for it may be the only copy.
REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Published:
    """Where a product is now, and where its predecessor was set aside."""

    path: Path
    set_aside: Path | None = None


def final_path(destination: Path, staging: Path, *, single: str | None) -> Path:
    """Return the name under which a product appears: its own, or that of its one object."""
    return destination / (single or staging.name)


def is_published(final: Path, sizes: Mapping[str, int], *, single: bool) -> bool:
    """Tell whether exactly these files (sizes in bytes by path) are already under the final name, without links."""
    absent = suppress(FileNotFoundError, NotADirectoryError)
    with on_disk(str(final)), absent, DirHandle.at(final.parent) as spool:
        if single:
            return spool.size(final.name) == next(iter(sizes.values()))
        with spool.child(final.name) as product:
            return product.sizes() == dict(sizes)
    return False


def publish(  # noqa: PLR0913 - what, where to, and what must hold until then
    staging: Path,
    destination: Path,
    sizes: Mapping[str, int],
    *,
    single: str | None,
    stamps: Mapping[str, Stamp] | None = None,
    check_owner: Callable[[], object] = lambda: None,
    below: str = "",
) -> Published:
    """Rename a staged product to its final name.

    Parameters
    ----------
    staging, destination, below
        Its directory, verified. The directory in which it is to appear, made when absent, and where in it.
    single
        For a product that is one object: the name of that file, which is published instead of the directory.
    sizes, stamps
        Bytes and last change of its files, by path, as verified: exactly these are published.
    check_owner
        Called after the directory is opened. It raises when another state has taken the directory over.

    Returns
    -------
    Published
        What was there before (an incomplete copy, a link) is set aside, not lost. The same product stays in place.

    Raises
    ------
    DiskError
        The disk is full, read-only, or gone. Or files were added to the staging directory, or removed from it.
    """
    final = final_path(destination / below, staging, single=single)
    with (
        on_disk(str(final)),
        pre_spool(staging) as room,
        room.child(staging.name) as product,
        _opened(destination, below) as (top, spool),
    ):
        check_owner()
        _refuse_other(product, sizes, stamps)
        DISK_SYNC.directories(product, _count_directories(sizes))
        source = product if single else room
        set_aside = None
        if not _is_equal(product, spool, final.name, sizes, single=single is not None):
            check_owner()  # syncing and comparing may have taken long
            set_aside = _set_aside(spool, final.name, room, staging.parent, top, destination)
            try:
                source.rename(single or staging.name, spool, final.name)
            except OSError as error:
                _expect_other_disk(error)
                with _copied(product, sizes, top, final.name, single=single) as (near, copy):
                    check_owner()
                    _refuse_other(product, sizes, stamps)
                    near.rename(copy, spool, final.name)
        spool.sync()
        source.sync()
    discard(staging)
    return Published(final, set_aside)


def complete(final: Path, staging: Path) -> None:
    """Finish publishing after a crash or a disk error that happened after the rename.

    Raises
    ------
    DiskError
        The disk still fails.
    """
    with on_disk(str(final)):
        with DirHandle.at(final.parent) as spool:
            spool.sync()
        with suppress(FileNotFoundError), pre_spool(staging) as folder:
            folder.sync()
    discard(staging)


def _count_directories(paths: Iterable[str]) -> int:
    """Return how many directories files are in, with that of the product."""
    return len({"", *(str(above) for path in paths for above in PurePosixPath(path).parents)})


def _refuse_other(product: DirHandle, sizes: Mapping[str, int], stamps: Mapping[str, Stamp] | None = None) -> None:
    """Refuse everything but the verified files: a janitor that was stopped for long may have removed some since."""
    now = product.stamps()
    found = {path: stamp.size_bytes for path, stamp in now.items()}
    strange = [path for path, size_bytes in found.items() if size_bytes < 0]
    if strange:
        raise FileExistsError(errno.EEXIST, f"{strange[0]!r} is neither file nor directory; remove it")
    if found != dict(sizes) or (stamps is not None and now != dict(stamps)):
        raise FileNotFoundError(errno.ENOENT, "it has changed since it was verified")


def _is_equal(product: DirHandle, spool: DirHandle, name: str, sizes: Mapping[str, int], *, single: bool) -> bool:
    """Tell whether the same product, byte for byte, is already under the final name: another cdsed published it."""
    with suppress(FileNotFoundError, NotADirectoryError, FileExistsError), ExitStack() as stack:
        if single:
            return spool.size(name) == sum(sizes.values()) and _is_same(product, next(iter(sizes)), spool, name)
        other = stack.enter_context(spool.child(name))
        return other.sizes() == dict(sizes) and all(_is_same(product, path, other, path) for path in sizes)
    return False


def _is_same(product: DirHandle, path: str, other: DirHandle, other_path: str) -> bool:
    with (
        os.fdopen(product.open(path, os.O_RDONLY), "rb", buffering=0) as ours,
        os.fdopen(other.open(other_path, os.O_RDONLY), "rb", buffering=0) as theirs,
    ):
        while block := ours.read(_BLOCK_BYTES):
            if theirs.read(len(block)) != block:  # a short read counts as different, which is safe
                return False
    return True


def _expect_other_disk(error: OSError) -> None:
    """Raise an error of a rename, unless it says that the target is on another file system."""
    if error.errno != errno.EXDEV:
        raise error


@contextmanager
def _opened(destination: Path, below: str) -> Iterator[tuple[DirHandle, DirHandle]]:
    """Open a destination, and the directory in it in which a product appears.

    If the block fails, that directory is removed again, unless it holds others. Another process that fails may remove
    it meanwhile. Then the rename fails with ENOENT, which plans the product again. A link or a file in its place is
    charged to the product, because planning again does not remove it.
    """
    mkdir_durable(destination)
    with DirHandle.at(destination) as top, ExitStack() as stack:
        try:
            try:
                place = stack.enter_context(top.descend(below, make=True))
            except NotADirectoryError as error:
                raise OSError(errno.EINVAL, error.strerror) from error
            yield top, place
        except BaseException:
            top.prune(below)
            raise


@contextmanager
def _copied(
    product: DirHandle, sizes: Mapping[str, int], top: DirHandle, name: str, *, single: str | None
) -> Iterator[tuple[DirHandle, str]]:
    """Copy a product to a hidden directory on the destination's own file system.

    It yields that directory and the name of the copy. Copying may have taken long by then.
    """
    with top.private(NEAR, make=True) as near:
        copy = f"{name}{COPY_SUFFIX}"
        near.remove(copy)  # left by a process that died
        if single:
            _copy_file(product, single, near, copy)
        else:
            for path in sizes:
                _copy_file(product, path, near, f"{copy}/{path}")
            with near.child(copy) as whole:
                _refuse_other(whole, sizes)
                DISK_SYNC.directories(whole, _count_directories(sizes))
        yield near, copy
        near.sync()


def _copy_file(source: DirHandle, path: str, target: DirHandle, target_path: str) -> None:
    with (
        os.fdopen(source.open(path, os.O_RDONLY), "rb", buffering=0) as old,
        os.fdopen(target.open(target_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, make=True), "wb", buffering=0) as new,
    ):
        shutil.copyfileobj(old, new, _BLOCK_BYTES)
        os.fsync(new.fileno())


def _set_aside(
    spool: DirHandle, name: str, room: DirHandle, place: Path, top: DirHandle, destination: Path
) -> Path | None:
    """Move away what is under the final name; it is not the product, which would have been found as present."""
    if not spool.exists(name):
        return None
    try:
        return _move_aside(name, spool, room, place)
    except OSError as error:
        _expect_other_disk(error)
    with top.private(NEAR, make=True) as near:
        return _move_aside(name, spool, near, destination / NEAR)


def _move_aside(name: str, spool: DirHandle, room: DirHandle, place: Path) -> Path:
    with room.child(REPLACED, make=True) as replaced:
        aside = next(numbered for number in itertools.count(1) if not replaced.exists(numbered := f"{name}.{number}"))
        spool.rename(name, replaced, aside)
    return place / REPLACED / aside
