"""What must hold after any fault: the checker of cdsed, and checks that use none of its code.

The independent checks read the database with Python's sqlite3, with rules of their own. They read the listings byte by
byte, and compare the spools with the truth of the sandbox.
"""

import contextlib
import json
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.support.daemon import Installation
from tests.support.sandbox import SandboxProcess
from tests.support.watch_thread import WatchThread

# A copy, not an import: the table of the program is what is checked.
_STEPS = {
    None: "queued already_present",
    "queued": "resolving already_present cancelled",
    "resolving": "queued ready unavailable retry_wait",
    "ready": "downloading failed cancelled",
    "downloading": "queued ready verifying retry_wait already_present unavailable failed cancelled",
    "verifying": "done downloading retry_wait already_present corrupt failed cancelled",
    "retry_wait": "queued ready cancelled",
    **dict.fromkeys(("done", "already_present", "unavailable", "corrupt", "failed", "cancelled"), "queued"),
}
_SET_ASIDE = frozenset({"quarantine", "replaced", "owners"})


class Watcher(WatchThread):
    """An independent observer of spools: what appears under a final name must be complete at once, and only once.

    It also notes how often each product's objects were asked for up to the moment it appeared.

    Attributes
    ----------
    partial, doubled
        Names that appeared incomplete; names that appeared again, or in two spools.
    """

    def __init__(self, sandbox: SandboxProcess, spools: Iterable[Path], *, counts_requests: bool = True) -> None:
        super().__init__(every_s=0.01)
        self._sandbox = sandbox
        self._spools = list(spools)
        self._counts_requests = counts_requests
        self._lock = threading.Lock()
        self._sizes: dict[str, list[tuple[str, int]]] = {}
        self._seen: dict[str, tuple[Path, int]] = {}
        self.partial: list[str] = []
        self.doubled: list[str] = []
        self.requests_when_published: dict[str, int] = {}

    def expect(self, names: Iterable[str]) -> None:
        """Learn from the sandbox what these products consist of."""
        for name in names:
            truth = self._sandbox.truth(name)
            self._sizes[name] = sorted((path, item.size_bytes) for path, item in truth.items())

    def published(self) -> dict[str, Path]:
        """Return the path of each product that has appeared."""
        with self._lock:
            return {name: spool / name for name, (spool, _) in self._seen.items()}

    @contextlib.contextmanager
    def looking_away_from(self, name: str) -> Iterator[None]:
        """Let the owner of a product take it away. It may appear again afterwards."""
        with self._lock:
            yield
            self._seen.pop(name, None)

    def look(self) -> None:
        """Note what has appeared."""
        with self._lock:
            new = [name for spool in self._spools for name in self._new_in(spool)]
            if new and self._counts_requests:
                self.requests_when_published.update(requests_for(self._sandbox, new))

    def _new_in(self, spool: Path) -> Iterator[str]:
        """Yield what has appeared, after looking whether it is whole."""
        with contextlib.suppress(OSError):
            for entry in os.scandir(spool):
                here = (spool, entry.inode())
                if entry.name.startswith(".") or self._seen.get(entry.name) == here:
                    continue
                if entry.name in self._seen:
                    self.doubled.append(entry.name)
                self._seen[entry.name] = here
                if _sizes_in(Path(entry.path)) != self._sizes.get(entry.name):
                    self.partial.append(entry.name)
                yield entry.name


def _sizes_in(path: Path) -> list[tuple[str, int]]:
    if path.is_file():
        return [(path.name, path.stat().st_size)]
    return sorted((str(p.relative_to(path)), p.stat().st_size) for p in path.rglob("*") if p.is_file())


def requests_for(sandbox: SandboxProcess, names: Iterable[str]) -> dict[str, int]:
    """Return how many GETs the sandbox has seen for the objects of each product."""
    counted = sandbox.counters()["keys"]
    return {name: sum(count["requests"] for key, count in counted.items() if name in key) for name in names}


def overbooked(sandbox: SandboxProcess) -> list[str]:
    """Return the accounts that were asked for more connections than they may hold, with how many."""
    allowed = {account.name: account.sessions for account in sandbox.accounts}
    counted = sandbox.counters()["accounts"]
    return [
        f"{name}: {count['open_max']} connections, {count['overbooked']} refused"
        for name, count in counted.items()
        if count["open_max"] > allowed[name] or count["overbooked"]
    ]


def found_by_the_checker(lab: Installation) -> list[str]:
    """Return what `cdsed check --state --every` finds."""
    done = lab.command("check", "--state", "--every", "--json")
    if done.returncode not in (0, 1) or not done.stdout:
        return [f"the checker left with {done.returncode}: {done.stderr}"]
    return [f"{each['rule']}: {each['subject']}: {each['text']}" for each in json.loads(done.stdout)["violations"]]


class Eye:
    """Checks one installation repeatedly, and remembers what must only grow.

    Parameters
    ----------
    attempts
        What ``retry.attempts`` of its settings is.
    """

    def __init__(self, state_dir: Path, *, attempts: int = 6) -> None:
        self._state_dir = state_dir
        self._attempts = attempts
        self._fence = 0
        self._events = 0

    def broken(self) -> list[str]:
        """Return what is wrong in the database, whether a daemon is at work or not."""
        path = self._state_dir / "cdsed.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as db:
            db.execute("BEGIN")
            rules = (_damage, self._growth, self._charges, _histories, _tallies, _holders, _listings)
            return [each for rule in rules for each in rule(db)]

    def _growth(self, db: sqlite3.Connection) -> list[str]:
        [fence] = db.execute("SELECT value FROM fence").fetchone()
        [events] = db.execute("SELECT count(*) FROM event").fetchone()
        found = []
        if fence < self._fence:
            found.append(f"the fence fell from {self._fence} to {fence}")
        if events < self._events:
            found.append(f"of {self._events} events {events} are left")
        self._fence, self._events = fence, events
        return found

    def _charges(self, db: sqlite3.Connection) -> list[str]:
        rows = db.execute("SELECT safename, attempts FROM product WHERE attempts > ?", [self._attempts])
        return [f"{safename} was charged {attempts} attempts of {self._attempts}" for safename, attempts in rows]


def leftovers(lab: Installation) -> list[str]:
    """Return staged files that are not set aside; none once all is finished."""
    folder = lab.spool / ".cdsed"
    staged = [path for path in folder.iterdir() if path.is_dir() or path.suffix == ".copy"] if folder.is_dir() else []
    return sorted({path.name for path in staged} - _SET_ASIDE)


def receipts_unlike_their_listings(lab: Installation, dropped: Mapping[str, bytes]) -> list[str]:
    """Compare the receipts of accepted listings with the bytes that were dropped."""
    found = []
    for name, content in dropped.items():
        receipt = lab.receipt(name)
        if receipt is None:
            found.append(f"{name}: no receipt")
            continue
        counts = dict(receipt["counts"])
        lines = counts.pop("lines")
        wanted = content.count(b"\n") + (not content.endswith(b"\n"))
        if not lines == sum(counts.values()) == wanted:
            found.append(f"{name}: {wanted} lines, and its receipt says {counts} of {lines}")
        kept = lab.inbox / ".accepted" / name
        if kept.read_bytes() != content:
            found.append(f"{name}: its bytes have changed")
    return found


def _damage(db: sqlite3.Connection) -> list[str]:
    [[reported]] = db.execute("PRAGMA integrity_check(1)")
    foreign = db.execute("PRAGMA foreign_key_check").fetchall()
    return ([] if reported == "ok" else [reported]) + [f"foreign key: {row}" for row in foreign]


def _histories(db: sqlite3.Connection) -> list[str]:
    found = []
    # Of a long history only the latest steps are kept: the first of these begins anywhere.
    long = db.execute("SELECT product, origin, min(id) FROM event GROUP BY product HAVING count(*) >= 32")
    stands = {product: origin for product, origin, _ in long}
    for product, origin, target in db.execute("SELECT product, origin, target FROM event ORDER BY id"):
        if origin != stands.get(product) or target not in _STEPS[origin].split():
            found.append(f"product {product}: {origin} -> {target} where it stood at {stands.get(product)}")
        stands[product] = target
    for product, state in db.execute("SELECT id, state FROM product"):
        if stands.get(product) != state:
            found.append(f"product {product} is {state}, its history ends with {stands.get(product)}")
    return found


def _tallies(db: sqlite3.Connection) -> list[str]:
    states = dict(db.execute("SELECT id, state FROM product"))
    counted = Counter((0, state) for state in states.values())
    counted.update((listing, states[product]) for listing, product in db.execute("SELECT listing, product FROM want"))
    reported = {
        (listing, state): count for listing, state, count in db.execute("SELECT listing, state, products FROM tally")
    }
    return [
        f"tally of listing {listing}, {state}: {reported.get((listing, state))} instead of {counted[listing, state]}"
        for listing, state in counted.keys() | reported.keys()
        if counted[listing, state] != reported.get((listing, state), 0)
    ]


def _holders(db: sqlite3.Connection) -> list[str]:
    processes = {row[0] for row in db.execute("SELECT id FROM process")}
    fences: list[int] = []
    found = []
    for account, slot, process, fence in db.execute("SELECT account, slot, process, fence FROM session"):
        if process is not None:
            fences.append(fence)
            if process not in processes:
                found.append(f"session {account}.{slot} is held by no process")
    found += [f"fence {fence} is given twice" for fence, count in Counter(fences).items() if count > 1]
    for (fence,) in db.execute("SELECT fence FROM piece WHERE fence IS NOT NULL"):
        if fence not in fences:
            found.append(f"a piece is held under fence {fence}, which no session has")
    return found


def _listings(db: sqlite3.Connection) -> list[str]:
    found = []
    states = dict(db.execute("SELECT id, state FROM product"))
    wants: dict[int, list[str]] = {}
    for listing, product in db.execute("SELECT listing, product FROM want"):
        wants.setdefault(listing, []).append(states[product])
    columns = "id, name, items_taken, accepted, duplicate, known, already_present, rejected, ignored"
    for number, name, taken, *counts in db.execute(f"SELECT {columns} FROM listing WHERE state <> 'refused'"):
        if taken != sum(counts):
            found.append(f"{name}: {taken} lines are taken, {counts} counted")
        named = counts[0] + counts[2] + counts[3]
        if wants.get(number) and len(wants[number]) != named:
            found.append(f"{name}: {named} products named, {len(wants[number])} wanted")
    return found
