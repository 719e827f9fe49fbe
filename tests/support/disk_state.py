"""What a state says that no daemon uses, read after a power cut; and dice of a seed for what is done to it."""

import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.support.daemon import Installation


@dataclass(frozen=True)
class StateAsItIs:
    """What a state says that no daemon uses: read from a copy, because reading it in place repairs it."""

    products: dict[str, str]
    listings: dict[str, str]
    broken: list[str]

    def count(self, state: str) -> int:
        """Return how many products are in a state."""
        return list(self.products.values()).count(state)


def state_in(lab: Installation, folder: Path) -> StateAsItIs:
    """Copy the state of an installation with its log, and read the copy, without a daemon."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "cdsed.sqlite"
    for name in ("cdsed.sqlite", "cdsed.sqlite-wal"):
        if (lab.state / name).exists():
            shutil.copyfile(lab.state / name, folder / name)
    if not path.exists():
        return StateAsItIs({}, {}, [])
    try:
        with closing(sqlite3.connect(path)) as db:
            [[verdict]] = db.execute("PRAGMA integrity_check(1)")
            return StateAsItIs(
                dict(db.execute("SELECT safename, state FROM product")),
                dict(db.execute("SELECT name, state FROM listing")),
                [] if verdict == "ok" else [f"the state is damaged: {verdict}"],
            )
    except sqlite3.DatabaseError as error:
        return StateAsItIs({}, {}, [f"the state cannot be read: {error}"])


def dice_for(seed: int, *what: object) -> random.Random:
    """Return separate dice for each decision, so that one does not change another."""
    return random.Random("/".join(map(str, (seed, *what))))
