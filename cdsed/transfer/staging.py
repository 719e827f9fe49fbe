"""The pre-spool: one private directory per product, in which it is put together.

The pre-spool itself must be a real directory that only cdsed can write in. So no other user can plant a link below it.
If another user could, cdsed would still not write through it (`cdsed.dir_handle`).
"""

import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from types import MappingProxyType

from cdsed.dir_handle import DirHandle, Stamp, mkdir_durable
from cdsed.errors import DiskError, TransferError
from cdsed.model.objects import ListedObject
from cdsed.transfer.disk_sync import DISK_SYNC
from cdsed.transfer.s3_errors import on_disk

#: What a kernel says of a directory or file that is damaged or another user's, and of a whole disk.
_OF_ONE_DIRECTORY = frozenset({"EACCES", "EPERM", "EIO", "ESTALE", "EUCLEAN", "EBADMSG"})

#: Suffix of a directory that is being removed.
GONE_SUFFIX = ".gone"

# Each holds a descriptor, and all sessions of a process may need as many.
_UNSYNCED_MAX = 16


@contextmanager
def pre_spool(staging: Path, *, make: bool = False) -> Iterator[DirHandle]:
    """Open the pre-spool that a product's staging directory is in; raises OSError as `DirHandle` does."""
    place = staging.parent
    if make:
        mkdir_durable(place.parent)
    with DirHandle.at(place.parent) as parent, parent.private(place.name, make=make) as folder:
        yield folder


@contextmanager
def opened(staging: Path) -> Iterator[DirHandle]:
    """Open a staging directory; raises OSError as `DirHandle` does."""
    with pre_spool(staging) as folder, folder.child(staging.name) as product:
        yield product


@contextmanager
def reading(staging: Path, path: str) -> Iterator[BufferedReader]:
    """Open a file of a staging directory for reading; an OSError is raised as a `DiskError`."""
    with (
        on_disk(f"{staging}/{path}"),
        opened(staging) as product,
        os.fdopen(product.open(path, os.O_RDONLY), "rb") as file,
    ):
        yield file


class HeldStaging:
    """A staging directory that stays open while several of its files are fetched.

    Parameters
    ----------
    check_owner
        Called after the directory was opened. It raises when another state has taken the directory over. That state
        replaces the directory before it writes there, so its files cannot be opened through this one.
    """

    def __init__(self, path: Path, check_owner: Callable[[], object]) -> None:
        self.path = path
        self._check_owner = check_owner
        self._held = ExitStack()
        self._product: DirHandle | None = None
        self._unsynced: list[int] = []
        self._failed: TransferError | None = None

    def open(self, path: str) -> int:
        """Open a file for writing, and return its descriptor.

        Raises
        ------
        OSError
            As `DirHandle` does.
        OwnedElsewhere
            Of `check_owner`; also where the directory was replaced since it was opened.
        """
        try:
            if self._product is None:
                product = self._held.enter_context(opened(self.path))
                self._check_owner()
                self._product = product
            return self._product.open(path, os.O_WRONLY)
        except OSError:
            self._close_directory()
            self._check_owner()
            raise

    def sync_later(self, file: int) -> None:
        """Leave a file that was written to the next `sync`; its descriptor is duplicated. It raises as that does."""
        with on_disk(str(self.path)):
            self._unsynced.append(os.dup(file))
        if len(self._unsynced) >= _UNSYNCED_MAX:
            self.sync()

    def sync(self) -> None:
        """Sync the files that were left to it.

        Raises
        ------
        DiskError, MachineError
            It failed, now or before: the kernel reports an error once, and may have dropped what it could not write.
        """
        if self._failed:
            raise self._failed
        try:
            if self._unsynced:
                with on_disk(str(self.path.parent)):  # what cannot be synced is a fault of the disk
                    DISK_SYNC.files(self._unsynced)
        except TransferError as error:
            self._failed = error
            raise
        finally:
            self._close_files()

    def close(self) -> None:
        """Close the directory, and the files that are not synced; it is opened and checked again for the next file."""
        self._close_directory()
        self._close_files()

    def _close_directory(self) -> None:
        self._product = None
        self._held.close()

    def _close_files(self) -> None:
        while self._unsynced:
            os.close(self._unsynced.pop())


def staged_sizes(staging: Path) -> dict[str, int]:
    """Return `DirHandle.sizes` of a staging directory; {} when it does not exist."""
    return {path: stamp.size_bytes for path, stamp in staged_stamps(staging).items()}


def staged_stamps(staging: Path) -> dict[str, Stamp]:
    """Return `DirHandle.stamps` of a staging directory; {} when it does not exist."""
    with on_disk(str(staging)), suppress(FileNotFoundError, NotADirectoryError), opened(staging) as product:
        return product.stamps()
    return {}


def refresh_attributes(staging: Path) -> None:
    """Open each file of a staging directory, and close it: then a network file system asks its server what it is now.

    NFS promises that of an open (*close-to-open*). What it says without one may be a minute old.
    """
    with on_disk(str(staging)), suppress(FileNotFoundError, NotADirectoryError), opened(staging) as product:
        for path, stamp in product.stamps().items():
            if stamp.size_bytes >= 0:
                os.close(product.open(path, os.O_RDONLY))


def prepare(
    staging: Path,
    listed: Iterable[ListedObject] = (),
    staged: Iterable[str] = (),
    keep: Collection[str] = (),
    own: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    """Make a staging directory hold exactly the files of a product, each at its full size.

    Parameters
    ----------
    staged
        Sizes of the files that are there, by path.
    keep
        Files of which bytes have arrived. All others are made again, preallocated. A session that has lost its lease
        may still write to a file that it has open; the next session must write to another one.
    own
        Content of cdsed's own files in the product, by path. They are synced.

    Raises
    ------
    DiskError
        The disk is full, read-only, or gone; or the pre-spool is not cdsed's alone.
    """
    wanted = {item.path: item.size_bytes for item in listed}
    with on_disk(str(staging)), pre_spool(staging, make=True) as folder:
        folder.remove_other(staging.name) if keep else folder.remove(staging.name)
        with folder.child(staging.name, make=True) as product:
            for path in set(staged) - wanted.keys():
                product.remove(path)
            for path, size_bytes in wanted.items():
                if path not in keep:
                    if keep:  # otherwise the directory is new
                        product.remove(path)
                    _preallocate(product, path, size_bytes)
            for path, content in own.items():
                product.remove(path)
                with os.fdopen(product.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())


def discard(staging: Path) -> bool:
    """Remove a staging directory; return whether it was removed: an absent one, or one that cannot be, is ignored.

    It loses its name before its files. So a kill between them does not leave a directory that seems to have lost files:
    a product that was copied to another disk and published would then be planned again.
    """
    gone = f"{staging.name.removesuffix(GONE_SUFFIX)}{GONE_SUFFIX}"
    with suppress(OSError), pre_spool(staging) as folder:
        folder.remove(gone)  # left by a process that died
        if staging.name == gone:
            return True
        if folder.remove_empty(staging.name):  # a product that is one file has left it
            return True
        if folder.exists(staging.name):
            folder.rename(staging.name, folder, gone)
            folder.remove(gone)
            return True
    return False


def only_this_fails(error: DiskError, staging: str | None) -> bool:
    """Tell whether a failure is that of one staging directory, and not of its disk: files can be written beside it."""
    if error.code not in _OF_ONE_DIRECTORY or staging is None or not Path(error.where).is_relative_to(staging):
        return False
    return _works_beside(Path(staging))


def _works_beside(staging: Path) -> bool:
    # The janitor removes what ends so, if this process dies here.
    name = f"{staging.name}.{os.getpid()}-{threading.get_native_id()}{GONE_SUFFIX}"
    try:
        with pre_spool(staging) as folder:
            try:
                with folder.child(name, make=True) as aside:
                    file = aside.open("probe", os.O_WRONLY | os.O_CREAT)
                    try:
                        os.write(file, b"probe")
                        os.fsync(file)
                    finally:
                        os.close(file)
            finally:
                folder.remove(name)
    except OSError:
        return False
    return True


def quarantine(staging: Path) -> Path:
    """Move a staging directory to the quarantine, so that you can look at it; return its new path."""
    place = staging.parent / "quarantine"
    with on_disk(str(staging)), pre_spool(staging) as folder, folder.child(place.name, make=True) as aside:
        aside.remove(staging.name)
        folder.rename(staging.name, aside, staging.name)
    return place / staging.name


def _preallocate(product: DirHandle, path: str, size_bytes: int) -> None:
    file = product.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, make=True)
    try:
        os.ftruncate(file, size_bytes)
    finally:
        os.close(file)
