"""Which state owns the place of a product, so that two states never put one product together at one place.

In a *room* (the pre-spool, or ``.cdsed`` in a destination) the directory ``owners`` holds

``NAME.owner``
    The identity of the state that owns the product's place in this room, and ``adopted`` if it had no owner before.
``ID.state``
    Of each state that works here: who it is, in JSON. Every worker process of the state holds a shared ``flock`` on
    it, and sets its modification time every few seconds, by the clock of the file server.
``lock``
    Held for milliseconds while an owner is written, replaced or removed.

A state lives as long as the kernel says that its ``flock`` is held. When it is not held, a state of the same boot is
dead after a short grace, so that a restart keeps its partial files. Of a state on another machine, the file system may
hide the ``flock``: it is dead when its file has not been touched for minutes.
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

from cdsed.dir_handle import DirHandle
from cdsed.errors import OwnedElsewhere
from cdsed.transfer.ownerfile import BYTES_MAX, Owner, is_same, lock, opened, parse, read, turn

#: A state of this boot that holds no lock is dead when it was last heard of longer ago than this.
GRACE_S = 15.0
#: Of any other machine, or where the file system has no locks.
STALE_S = 300.0

_OWNER, _STATE = ".owner", ".state"
_ADOPTED = "adopted"  # a place that had no owner when work on it went on
_ABSENT = (FileNotFoundError, NotADirectoryError)


class Owners:
    """What one process of a state knows and does about owners, in any number of rooms.

    Methods raise OSError as the system has it; PermissionError where a room is not this user's alone.
    """

    def __init__(self, me: Owner) -> None:
        self._me = me
        self._said = json.dumps(asdict(me)).encode()
        self._attended: dict[Path, int] = {}
        self._lock = threading.Lock()

    def claim(self, room: Path, name: str, taking_over: Callable[[], None]) -> bool:
        """Become the owner of a product's place, or stay it; return whether it was ours before.

        Parameters
        ----------
        taking_over
            Called before the place is taken from a dead owner: what this state knows of it must be forgotten first.

        Raises
        ------
        OwnedElsewhere
            A living state owns it.
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
        """Make sure that this state owns a place at which it is at work.

        Returns
        -------
        bool
            False if it lay without an owner since it was last claimed: another state may have come and gone. This is
            written down, so that it is known after a kill, too.

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
        """Do so without changing anything: the fence before each writing.

        Open the directory that you are going to write in first. Whoever takes a place over replaces the owner before
        the directory, so if the owner is still this state, the open directory is this state's, too.

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
        """Give a place back, if this state owns it and `unless`, asked while nobody else can claim it, is false."""
        with suppress(*_ABSENT), opened(room) as folder, turn(folder, name):
            if _owner(folder, name)[0] == self._me.state_id and not unless():
                folder.remove(f"{name}{_OWNER}")

    def other(self, room: Path, name: str, *, living: bool = False) -> Owner | None:
        """Return the other state that owns a place; with `living`, only one that lives."""
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
        """Say that this state lives, in a room where it owns something; let go of a room where it does not.

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
        """Hold this state's lock in a room, for as long as this process lives or owns something there."""
        name = f"{self._me.state_id}{_STATE}"
        with self._lock:
            file = self._attended.get(room)
            if file is not None:
                if is_same(folder, name, file):
                    if os.fstat(file).st_size != len(self._said):  # somebody has emptied it, or a disk was full
                        self._say(file)
                    return
                os.close(self._attended.pop(room))  # somebody has removed it, or this is another disk
            file = folder.open(name, os.O_RDWR | os.O_CREAT)
            try:
                lock(file, fcntl.LOCK_SH)
                self._say(file)
            except BaseException:
                os.close(file)
                raise
            self._attended[room] = file

    def _say(self, file: int) -> None:
        """Write down who this state is; on a full disk what was said before stands, and what is finished may appear."""
        with suppress(OSError):
            os.pwrite(file, self._said, 0)
            os.ftruncate(file, len(self._said))

    def _enter(self, folder: DirHandle, name: str, *, new: bool, how: str = "") -> None:
        """Write this state down as the owner; where no locks work, the file system sees to it that one is first."""
        written = f"{name}{_OWNER}" if new else f"{self._me.state_id}.new"
        flags = os.O_WRONLY | os.O_CREAT | (os.O_EXCL if new else os.O_TRUNC)
        file = folder.open(written, flags)
        try:
            os.write(file, f"{self._me.state_id} {how}".encode())
        finally:
            os.close(file)
        if not new:
            folder.rename(written, folder, f"{name}{_OWNER}")

    def _if_living(self, folder: DirHandle, state_id: str) -> Owner | None:
        """Return a state if it lives, as the kernel says, or was heard of lately."""
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
    """Return who owns a place, and how it came to it; the owner is None or '' as in `read`."""
    said = read(folder, f"{name}{_OWNER}")
    owner, _, how = (said or "").partition(" ")
    return (None if said is None else owner), how


def _known(folder: DirHandle, state_id: str) -> Owner:
    """Return what a state has written about itself."""
    return parse(state_id, read(folder, f"{state_id}{_STATE}") or "")


def waiting_for(name: str, place: Path, owner: Owner) -> OwnedElsewhere:
    """Return the error for a product that another state downloads to a directory."""
    return OwnedElsewhere(f"another cdsed ({owner}) downloads {name} to {place}; this one waits until it is finished")
