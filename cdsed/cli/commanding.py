"""What the commands share that change a state: its opening, a trial without effect, and the question before a loss."""

import errno
import os
import pwd
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cdsed.errors import UsageError

if TYPE_CHECKING:
    from cdsed.config.settings import Settings
    from cdsed.store.database import Database

_T = TypeVar("_T")
#: Version of the JSON of these commands, its member `schema`.
SCHEMA = 1
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class StateChange:
    """A state that a command may change.

    Attributes
    ----------
    owner
        The name of the user who commands it, for the log and the history of products.
    dry
        Whether nothing may be changed.
    """

    db: "Database"
    settings: "Settings"
    owner: str | None
    dry: bool

    def do(self, work: Callable[[], _T]) -> _T:
        """Do the work in one transaction, and return its result; a trial is rolled back."""
        with self.db.write(undo=self.dry):
            return work()

    def do_if_agreed(self, work: Callable[[], _T], question: Callable[[_T], str], *, yes: bool) -> _T | None:
        """Try the work, ask whether to do it, and do it.

        Parameters
        ----------
        question
            Returns what to ask after a trial with this result; '' if there is nothing to do.
        yes
            Answers the question.

        Returns
        -------
        object
            The result of the work, or of its trial if nothing is changed; None if you do not agree.
        """
        with self.db.write(undo=True):
            tried = work()
        text = question(tried)
        if self.dry or not text:
            return tried
        return self.do(work) if agreed(text, yes=yes) else None

    def record(self, text: str) -> None:
        """Record the command for the daemon's log; call it in the work of `do`."""
        from cdsed.clock import SYSTEM_CLOCK
        from cdsed.store import commands

        commands.add(self.db, SYSTEM_CLOCK, self.owner, text)


def add_options(command: Any, *, asks: bool = False, schema: int = SCHEMA) -> None:
    """Add the options that all of these commands have; `asks`: it asks before it does something."""
    command.add_argument("--dry-run", action="store_true", help="show what it would do, and change nothing")
    if asks:
        command.add_argument("--yes", action="store_true", help="do not ask")
    command.add_argument("--json", action="store_true", help=f"print JSON; its member `schema` is {schema}")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")


@contextmanager
def changing(config: Path | None, *, dry: bool = False) -> Iterator[StateChange]:
    """Open the state of some settings for a change; raises as `open_for_change` does."""
    from cdsed.config.load import load_settings

    settings = load_settings(config, os.environ)
    with open_for_change(settings.state_dir) as db:
        yield StateChange(db, settings, _user(), dry)


@contextmanager
def open_for_change(state_dir: Path) -> "Iterator[Database]":
    """Open the state for a change, whether the daemon runs or not.

    Raises
    ------
    UsageError
        No daemon has made one yet.
    PermissionError
        It belongs to another user: the daemon could not write files that this one makes.
    StateError
        It cannot be read, another version of cdsed has made it, or it was replaced meanwhile, by a backup say: then
        what was changed is in the one that was set aside.
    """
    from cdsed.errors import StateError
    from cdsed.store.database import FILE_NAME, join_state
    from cdsed.view.read import open_status

    with open_status(state_dir) as (_, there):
        if there is None:
            raise UsageError(f"no state at {state_dir}: nothing was ever asked for; start the daemon once")
    file = state_dir / FILE_NAME
    check_owner(state_dir)
    opened = _inode(file)
    db = join_state(state_dir)
    try:
        yield db
    finally:
        db.close()
    if _inode(file) != opened:
        raise StateError(f"the state {file} was replaced while this command ran: look at `cdsed status`, and repeat it")


def check_owner(state_dir: Path) -> None:
    """Check that files which this command makes belong to the user of the daemon.

    Raises
    ------
    PermissionError
        The state belongs to another user, or cannot be written.
    """
    from cdsed.store.database import FILE_NAME

    file = state_dir / FILE_NAME
    if file.exists() and (file.stat().st_uid != os.geteuid() or not os.access(file, os.W_OK)):
        raise PermissionError(errno.EACCES, "permission denied", str(file))


def _inode(file: Path) -> int:
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return 0


def agreed(question: str, *, yes: bool) -> bool:
    """Ask a question on the terminal; `yes` answers it.

    Raises
    ------
    UsageError
        It lacks a terminal on which it could be answered.
    """
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"{question} Without a terminal this is not asked: add --yes (--dry-run shows what it would do)"
        )
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    print("nothing is changed", file=sys.stderr)
    return False


def print_some(lines: Sequence[str], *, more: str = "more", indent: str = "  ") -> None:
    """Print the first of many lines, and how many are left out."""
    from cdsed.view.terminal import printable
    from cdsed.view.wording import number

    for line in lines[:_SHOWN]:
        print(printable(f"{indent}{line}"))
    if len(lines) > _SHOWN:
        print(f"{indent}and {number(len(lines) - _SHOWN)} {more}")


def _user() -> str | None:
    """Return the name of the user at the keyboard; sudo(8) says who that is."""
    if os.environ.get("SUDO_USER"):
        return os.environ["SUDO_USER"]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return None
