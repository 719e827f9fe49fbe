"""Which state owns the place of a product, so that two states never write one product in the same place.

In a *room* (the pre-spool, or ``.cdsed`` in a destination) the directory ``owners`` holds

``NAME.owner``
    The identity of the state that owns the product's place in this room, and ``adopted`` if it had no owner before.
``ID.state``
    One for each state that works here: its identity, in JSON. Every worker of the state holds a shared ``flock`` on
    it. It also sets its modification time every few seconds, by the clock of the file server.
``lock``
    Held for milliseconds while an owner is written, replaced or removed.

A state is live while its ``flock`` is held. When it is not held, a state of the same boot counts as dead after a short
grace, so that a restart keeps its partial files. The file system may hide the ``flock`` of a state on another machine:
such a state counts as dead when its file has not been touched for minutes.
"""

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from cdsed.dir_handle import DirHandle, write_all
from cdsed.errors import OwnedElsewhere
from cdsed.transfer.ownerfile import BYTES_MAX, Owner, is_same, lock, opened, parse, read, turn

#: A state of this boot that holds no lock counts as dead when its last heartbeat is older than this.
GRACE_S = 15.0
#: The same for a state of another machine, and where the file system has no locks.
STALE_S = 300.0

_OWNER, _STATE = ".owner", ".state"
_ADOPTED = "adopted"  # a place that had no owner when work on it continued
_ABSENT = (FileNotFoundError, NotADirectoryError)


class Owners:
    """Claims, checks and releases places for one process of a state, in any number of rooms.

    Methods raise OSError as the system reports it, and PermissionError where another user can write to a room.
    """

    def __init__(self, me: Owner) -> None:
        self._me = me
        self._said = json.dumps(asdict(me)).encode()
        self._attended: dict[Path, int] = {}
        self._lock = threading.Lock()

    def claim(self, room: Path, name: str, taking_over: Callable[[], None]) -> bool:
        """Make this state the owner of a product's place; return whether it was the owner before.

        Parameters
        ----------
        taking_over
            Called before the place is taken from a dead owner. It deletes what this state has recorded of the place.

        Raises
        ------
        OwnedElsewhere
            A live state owns it.
        """
        with opened(room, make=True) as folder, turn(folder, name):
            self._attend(room, folder)
            owner, how = _owner(folder, name)
            if owner == self._me.state_id:
                if how:
                    self._enter(folder, name, new=False)
                return True
            if owner:
                living = self._if_living(folder, owner)
                if living:
                    raise waiting_for(name, room.parent, living)
                taking_over()
            self._enter(folder, name, new=owner is None)
        return False

    def hold(self, room: Path, name: str) -> bool:
        """Make sure that this state still owns a place in which it works.

        Returns
        -------
        bool
            False if the place had no owner since it was last claimed: another state may have used it meanwhile. This
            is written to the owner file, so that it is known after a kill, too.

        Raises
        ------
        OwnedElsewhere
            Another state has taken it.
        """
        with opened(room, make=True) as folder:
            self._attend(room, folder)
            owner, how = _owner(folder, name)
            if not owner:
                with turn(folder, name):
                    owner, how = _owner(folder, name)
                    if not owner:
                        self._enter(folder, name, new=owner is None, how=_ADOPTED)
                        return False
            if owner != self._me.state_id:
                raise waiting_for(name, room.parent, _known(folder, owner))
        return how != _ADOPTED

    def check(self, room: Path, name: str) -> None:
        """Make sure, before each write, that this state still owns a place; change nothing.

        First open the directory that you are going to write in. A state that takes a place over replaces the owner
        before the directory. So if the owner is still this state, the open directory is this state's, too.

        Raises
        ------
        OwnedElsewhere
            This state does not own it any more.
        """
        with opened(room) as folder:
            owner, _ = _owner(folder, name)
            if owner != self._me.state_id:
                raise waiting_for(name, room.parent, _known(folder, owner or ""))

    def release(self, room: Path, name: str, *, unless: Callable[[], bool] = lambda: False) -> None:
        """Release a place if this state owns it and `unless` returns False; it is called under the lock of the room."""
        with suppress(*_ABSENT), opened(room) as folder, turn(folder, name):
            if _owner(folder, name)[0] == self._me.state_id and not unless():
                folder.remove(f"{name}{_OWNER}")

    def other(self, room: Path, name: str, *, living: bool = False) -> Owner | None:
        """Return the other state that owns a place; with `living`, only a live one."""
        with suppress(*_ABSENT, PermissionError), opened(room) as folder:
            owner, _ = _owner(folder, name)
            if owner and owner != self._me.state_id:
                return self._if_living(folder, owner) if living else _known(folder, owner)
        return None

    def owned(self, room: Path) -> tuple[list[str], dict[str, Owner]]:
        """Return the names of the products here that this state owns, and those of others with their owners."""
        mine, others = [], {}
        with suppress(*_ABSENT, PermissionError), opened(room) as folder:
            for entry in folder.names():
                name = entry.removesuffix(_OWNER)
                owner = _owner(folder, name)[0] if name != entry else None
                if owner == self._me.state_id:
                    mine.append(name)
                elif owner:
                    others[name] = _known(folder, owner)
        return mine, others

    def heartbeat(self, room: Path) -> None:
        """Send a heartbeat in a room where this state owns a place; release the lock in a room where it owns none.

        An open file would keep the disk from being unmounted.
        """
        mine, _ = self.owned(room)
        if not mine:
            with self._lock:
                if (file := self._attended.pop(room, None)) is not None:
                    os.close(file)
            return
        with suppress(*_ABSENT), opened(room) as folder:
            self._attend(room, folder)
            os.utime(self._attended[room])

    def rooms(self) -> Iterable[Path]:
        """Return the rooms in which this process holds its state's lock."""
        return tuple(self._attended)

    def _attend(self, room: Path, folder: DirHandle) -> None:
        """Hold this state's lock in a room, until this process ends or owns nothing there."""
        name = f"{self._me.state_id}{_STATE}"
        with self._lock:
            file = self._attended.get(room)
            if file is not None:
                if is_same(folder, name, file):
                    if os.fstat(file).st_size != len(self._said):  # it was emptied, or a disk was full
                        self._say(file)
                    return
                os.close(self._attended.pop(room))  # it was removed, or this is another disk
            file = folder.open(name, os.O_RDWR | os.O_CREAT)
            try:
                lock(file, fcntl.LOCK_SH)
                self._say(file)
            except BaseException:
                os.close(file)
                raise
            self._attended[room] = file

    def _say(self, file: int) -> None:
        """Write the identity of this state; on a full disk the earlier one stays, so that publishing can continue."""
        with suppress(OSError):
            os.pwrite(file, self._said, 0)
            os.ftruncate(file, len(self._said))

    def _enter(self, folder: DirHandle, name: str, *, new: bool, how: str = "") -> None:
        """Write this state as the owner; where locks do not work, exclusive creation lets only one state succeed."""
        written = f"{name}{_OWNER}" if new else f"{self._me.state_id}.new"
        flags = os.O_WRONLY | os.O_CREAT | (os.O_EXCL if new else os.O_TRUNC)
        file = folder.open(written, flags)
        try:
            write_all(file, f"{self._me.state_id} {how}".encode())
        finally:
            os.close(file)
        if not new:
            folder.rename(written, folder, f"{name}{_OWNER}")

    def _if_living(self, folder: DirHandle, state_id: str) -> Owner | None:
        """Return a state if it holds its lock, or its last heartbeat is recent."""
        try:
            file = folder.open(f"{state_id}{_STATE}", os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            owner = parse(state_id, os.pread(file, BYTES_MAX, 0).decode("utf-8", errors="replace"))
            free = lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if free is False:
                return owner
            here = free is True and owner.is_of_boot(self._me)
            silent_s = abs(self._now(folder) - os.fstat(file).st_mtime)
        finally:
            os.close(file)
        return owner if silent_s < (GRACE_S if here else STALE_S) else None

    def _now(self, folder: DirHandle) -> float:
        """Return the time by the clock of the file server, where this state works here."""
        with suppress(FileNotFoundError):
            file = folder.open(f"{self._me.state_id}{_STATE}", os.O_RDWR)
            try:
                os.utime(file)
                return os.fstat(file).st_mtime
            finally:
                os.close(file)
        return time.time()


def _owner(folder: DirHandle, name: str) -> tuple[str | None, str]:
    """Return the owner of a place, and ``adopted`` or ''; an absent owner is as in `read`: None or ''."""
    said = read(folder, f"{name}{_OWNER}")
    owner, _, how = (said or "").partition(" ")
    return (None if said is None else owner), how


def _known(folder: DirHandle, state_id: str) -> Owner:
    """Return the owner that a state has written about itself."""
    return parse(state_id, read(folder, f"{state_id}{_STATE}") or "")


def waiting_for(name: str, place: Path, owner: Owner) -> OwnedElsewhere:
    """Return the error for a product that another state downloads to a directory."""
    return OwnedElsewhere(f"another cdsed ({owner}) downloads {name} to {place}; this one waits until it is finished")
