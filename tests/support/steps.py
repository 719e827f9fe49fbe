"""Single steps of cdsed on the state of an installation, so that each can be killed at any of its system calls.

``python -m tests.support.steps SETTINGS`` takes each step there once, which loads everything, and then forks a process
for each line of standard input, as `tests.support.walk` does. A line has a settings file, a step, and its arguments.
"""

import os
import sys
import threading
from collections.abc import Callable
from contextlib import closing, redirect_stdout
from pathlib import Path

from cdsed import daemon
from cdsed.cli.main import main
from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.accounts import load_accounts
from cdsed.config.load import load_settings
from cdsed.config.settings import Settings
from cdsed.config.standing_queries import QueryConditions, StandingQuery
from cdsed.model.catalogue_change import ChangedProduct, Changes
from cdsed.sandbox.names import realistic_safenames
from cdsed.schedule.query_times import next_run_at
from cdsed.store.database import Database, join_state
from cdsed.store.state_id import state_id
from cdsed.work import controls
from cdsed.work.hook_worker import HookThread
from cdsed.work.query_runs import QueryRuns
from tests.support.state import SetClock
from tests.support.walk import serve

#: What the catalogue gives the standing query.
FOUND = realistic_safenames("S2_L2A", 2, seed=77)
_WARM = (
    *("pause", "resume", "drain", "resume"),
    *("priority S5P* +1", "refetch S1* --yes", "cancel week.txt --yes", "retry --all"),
)


class _Changes:
    """A catalogue with two products that are new at each look."""

    def changes(self, _query: StandingQuery, mark_at: float, _deleted_at: float, now_at: float) -> Changes:
        found = [ChangedProduct(f"id-{name}", name, None, "a", True, now_at, now_at, now_at) for name in FOUND]
        return Changes(tuple(found) if mark_at < now_at else (), None, None)

    def unknown_words(self, _conditions: QueryConditions) -> list[str]:
        return []


def command(config: Path, *arguments: str) -> None:
    """Give a command; 1 says that some of it was not to be done, as when it is given twice."""
    code = main([*arguments, "--config", str(config)])
    assert code in (0, 1), f"{arguments} ended with {code}"


def start(config: Path) -> None:
    """Let the supervisor start, and look for commands once."""
    settings = load_settings(config, os.environ)
    accounts = load_accounts(settings, os.environ)
    order = daemon._RunOptions(config, once=True, idle_timeout_s=60)
    with closing(daemon._Daemon(settings, accounts, SYSTEM_CLOCK, order)) as begun:
        begun._timetable.follow()
        controls.look(begun._db, SYSTEM_CLOCK, settings.spools)


def hook(config: Path) -> None:
    """Give the events that wait to the first hook."""

    def give(settings: Settings, db: Database) -> None:
        identity = state_id(settings.state_dir)
        thread = HookThread(db, SYSTEM_CLOCK, settings, settings.hooks[0], identity, threading.Event())
        while thread.step():
            pass

    _in_state(config, give)


def query(config: Path) -> None:
    """Run the standing queries that are due."""

    def look(settings: Settings, db: Database) -> None:
        QueryRuns(db, SetClock(), settings, {"default"}, _Changes(), next_run_at).look()

    _in_state(config, look)


_STEPS: dict[str, Callable[..., None]] = {"command": command, "start": start, "hook": hook, "query": query}


def _in_state(config: Path, work: Callable[[Settings, Database], None]) -> None:
    settings = load_settings(config, os.environ)
    with closing(join_state(settings.state_dir)) as db:
        work(settings, db)


def take(config: str, step: str = "", *arguments: str) -> None:
    """Take one step, or all of them once."""
    if step:
        _STEPS[step](Path(config), *arguments)
        return
    start(Path(config))
    with redirect_stdout(sys.stderr):
        for words in _WARM:
            main([*words.split(), "--dry-run", "--config", config])
    hook(Path(config))
    query(Path(config))


if __name__ == "__main__":
    serve(take)
