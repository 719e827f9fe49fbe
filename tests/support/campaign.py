"""Walk one small product from listing to report, inject a fault at one system call, start again, and check."""

import itertools
import json
import os
import queue
import re
import shutil
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from cdsed.model.choice import Choice
from cdsed.model.product_state import TRANSITIONS, State
from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import Installation
from tests.support.injection import Call, Point, Walker, points
from tests.support.sandbox import SandboxProcess

#: Offsets and sizes in bytes, by path below the pre-spool.
_Ranges = dict[str, list[tuple[int, int]]]

LISTING = "one.txt"
KILL = "signal=KILL"
#: Kill it, and lose what was not synced of the state and of the bytes of the product; of everything else nothing. Only
#: for points at these calls, which are none of those that SQLite makes.
POWER_CUT = "power cut"
CUT_AT = frozenset({"fsync", "syncfs", "mkdirat", "renameat", "rmdir", "unlinkat"})
_WRITTEN_AT = re.compile(r", (?P<size>\d+), (?P<offset>\d+)\s*\)\s*$")
_TRIES = 3  # the network cuts a body now into four pieces and now into five; then numbers shift
_ALWAYS = frozenset({"rename", "renameat", "renameat2", "fsync", "syncfs", "write", "link", "rmdir"})


@dataclass(frozen=True, slots=True)
class Injury:
    """What happens at a point: ``signal=KILL``, ``error=ENOSPC``, or a power cut."""

    point: Point
    action: str

    @property
    def finished(self) -> str:
        """How the product ends: one that could not be synced under its final name is found there at the next try."""
        late = self.point.syscall == "fsync" and self.point.path in {"spool", "spool/.cdsed"}
        return "already_present" if late and not self.kills else "done"

    @property
    def kills(self) -> bool:
        """Whether the walk ends at the point."""
        return self.action in {KILL, POWER_CUT}

    @property
    def target(self) -> tuple[str, str]:
        """Which call is to be hit, on which file."""
        return self.point.syscall, self.point.path

    def __str__(self) -> str:
        return f"{self.action} at {self.point}"


class Campaign:
    """Walks of one product, each in a directory of its own.

    Parameters
    ----------
    kind
        Of product, as the sandbox names them.
    size_bytes
        Of all its files; those above 1 MiB come in several pieces.
    walkers
        How many walk at once.
    elsewhere
        A directory on another file system, in which products are put together; None: beside the spool.
    part
        What the listing wants of the product, by a layout: it appears below ``partial/by/date``. None: all of it.

    Attributes
    ----------
    finished
        How the product ends in an uninjured walk.
    """

    finished = "done"

    def __init__(
        self,
        root: Path,
        kind: str,
        *,
        size_bytes: int,
        walkers: int = 2,
        elsewhere: Path | None = None,
        part: Choice | None = None,
    ) -> None:
        self._part = part
        self._below = "partial/by/date" if part else ""
        self._root = root
        self._count = walkers
        self._elsewhere = elsewhere
        self.points: list[Point] = []
        self._lost: dict[Path, _Ranges] = {}
        [self.safename] = realistic_safenames(kind, 1, seed=3)
        self._size_bytes = size_bytes
        self._numbers = itertools.count(1)
        self._walkers: queue.SimpleQueue[Walker] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # All walks of a minute use one account. A refusal would change the walk.
            accounts = [replace(account, sessions=64, requests_per_minute=None) for account in make_accounts(1, 1)]
            self._sandbox = stack.enter_context(SandboxProcess(accounts))
            paths = self._sandbox.add_products({"safename": self.safename, "size_bytes": self._size_bytes})
            self._s3_path = paths[self.safename]
            for number in range(self._count):
                self._walkers.put(stack.enter_context(Walker(self._lab(f"warm-{number}").config)))
            self.points = self.record()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def record(self) -> list[Point]:
        """Walk once without a fault; return every point of the way, in order."""
        lab = self._lab(f"{next(self._numbers)}")
        walker = self._walkers.get()
        self.prepare(lab, walker)
        ending, calls = walker.traced(_said(lab), self._root / f"{lab.root.name}.trace", lab.config)
        self._walkers.put(walker)
        assert ending.code == 0, ending.said
        faults = self._final_faults(lab)
        assert not faults, faults
        return points(calls, lab.root, self._pre_spool(lab.root.name))

    def prepare(self, lab: Installation, walker: Walker) -> None:
        """Do what comes before the walk."""

    def run(self, injuries: Sequence[Injury]) -> list[str]:
        """Walk once for each injury; return what was wrong afterwards, a sentence each."""
        with ThreadPoolExecutor(self._count) as pool:
            return [fault for faults in pool.map(self._suffer, injuries) for fault in faults]

    def restarted_after(self, injury: Injury) -> list[Call]:
        """Walk with an injury, start again under strace, and return the calls of the second start."""
        walker = self._walkers.get()
        lab = self._lab(f"{next(self._numbers)}")
        missed = self._injure(injury, lab, walker)
        ending, calls = walker.traced(_said(lab), lab.root / "trace", lab.config)
        self._walkers.put(walker)
        assert not missed, missed
        assert ending.code == 0, ending.said
        assert self._final_faults(lab) == []
        return calls

    def _suffer(self, injury: Injury) -> list[str]:
        walker = self._walkers.get()
        try:
            for _ in range(_TRIES):
                lab = self._lab(f"{next(self._numbers)}")
                missed = self._injure(injury, lab, walker)
                if not missed:
                    finished = injury.finished if self.finished == "done" else ""
                    return [f"{injury}: {fault}" for fault in self._faults_after(lab, walker, finished)]
            return [f"{injury}: {missed}"]
        finally:
            self._walkers.put(walker)

    def _injure(self, injury: Injury, lab: Installation, walker: Walker) -> str:
        """Walk to the injury; return why it did not happen, '' when it did."""
        self.prepare(lab, walker)
        options = injury.point.injection(KILL if injury.kills else injury.action, lab.root)
        pre_spool = self._pre_spool(lab.root.name)
        log = lab.state / "cdsed.sqlite-wal"
        also = [log]  # strace sees these, too
        if injury.point.syscall != "syncfs":  # of a file of a batch: it would be counted with those of other batches
            also += [lab.spool / ".cdsed" / self.safename / path for path in self._sandbox.truth(self.safename)]
        if injury.action == POWER_CUT:
            options += [word for path in also for word in ("-P", str(path))]
        ending, calls = walker.traced(_said(lab), lab.root / "trace", lab.config, options=options)
        if injury.action == POWER_CUT:
            _lose_unsynced(log, calls)
            self._lost[lab.root] = _lose_bytes(lab, calls)
            seen = {(str(path),) for path in also}
            calls = [call for call in calls if call.syscall == injury.point.syscall or call.paths[:1] not in seen]
        if injury.kills:
            hit = points(calls, lab.root, pre_spool)[-1:] if ending.code == -signal.SIGKILL else []
        else:
            hit = points([call for call in calls if "INJECTED" in call.result], lab.root, pre_spool)
        return "" if [(point.syscall, point.path) for point in hit] == [injury.target] else f"hit {hit} instead"

    def _faults_after(self, lab: Installation, walker: Walker, finished: str) -> Iterator[str]:
        """Check, start again, and check again."""
        yield from self._lasting_faults(lab)
        yield from _trusted(lab, self._lost.pop(lab.root, {}))
        again = walker.walk(_said(lab), lab.config)
        if again.code:
            yield f"the restart ended with {again.code}: {again.said[-2000:]}"
        faults = self._final_faults(lab, finished)
        yield from faults
        if not faults:
            shutil.rmtree(lab.root)

    def _lasting_faults(self, lab: Installation) -> Iterator[str]:
        """Yield violations of what must always hold."""
        published = [str(path.relative_to(lab.spool)) for path in lab.spool.rglob(self.safename)]
        published = [path for path in published if not path.startswith(".")]
        if published not in ([], [f"{self._below}/{self.safename}".lstrip("/")]):
            yield f"the spool holds {published}"
        elif published:
            yield from self.wrong_copy(lab)
        listings = [
            path
            for path in lab.inbox.rglob(LISTING)
            if path.read_text(encoding="utf-8").split("\n") == [*self._lines(), ""]
        ]
        if len(listings) != 1:
            yield f"the listing is at {listings}"
        for report_file in lab.inbox.rglob("*.json"):
            if not report_file.name.startswith("."):
                json.loads(report_file.read_text(encoding="utf-8"))

    def events(self, finished: str) -> list[str]:
        """Return the events that hooks are to be given in the end, each once."""
        return [*(["product_published"] if finished != "cancelled" else []), "listing_finished"]

    def wrong_copy(self, lab: Installation) -> list[str]:
        """Return what is wrong with what is published at any time."""
        return self._differences(lab)

    def _differences(self, lab: Installation) -> list[str]:
        return lab.differences([self.safename], lab.spool / self._below, part=self._part)

    def wrong_at_the_end(self, lab: Installation) -> list[str]:
        """Return what is wrong with what is published at the end."""
        return self._differences(lab)

    def _lines(self) -> list[str]:
        options = [f"# cdsed: layout=by/date {self._part}"] if self._part else []
        return [*options, self._s3_path]

    def _final_faults(self, lab: Installation, finished: str = "") -> list[str]:
        """Return violations of what must hold at the end."""
        faults = [*self._lasting_faults(lab), *self.wrong_at_the_end(lab)]
        facts = {
            "products": lab.query("SELECT state, attempts FROM product"),
            "listings": lab.query("SELECT state, accepted, duplicate, known, already_present, rejected FROM listing"),
            "wants": lab.query("SELECT line FROM want"),
            "leases": lab.query("SELECT account, slot FROM session WHERE process IS NOT NULL"),
            "workers": lab.query("SELECT name FROM process"),
            "pieces": lab.query("SELECT id FROM piece"),
            "integrity": [*lab.query("PRAGMA integrity_check"), *lab.query("PRAGMA foreign_key_check")],
            "events": lab.query("SELECT kind FROM hook_event WHERE hook = 'all' ORDER BY id"),
            "reported": (lab.report(LISTING) or {}).get("states"),
            "receipt": (lab.receipt(LISTING) or {}).get("counts", {}).get("accepted"),
            "left over": self._left_over(lab),
        }
        finished = finished or self.finished
        expected = {**_IN_THE_END, "products": [{"state": finished, "attempts": 0}], "reported": {finished: 1}}
        expected["events"] = [{"kind": kind} for kind in self.events(finished)]
        expected["wants"] = [{"line": len(self._lines())}]
        faults += [f"{what}: {found}" for what, found in facts.items() if found != expected[what]]
        faults += _broken_history(lab)
        return faults

    def _left_over(self, lab: Installation) -> list[str]:
        pre_spool = self._pre_spool(lab.root.name)
        markers = {lab.spool / ".cdsed/marker", pre_spool / ".cdsed", pre_spool / ".cdsed/marker"}
        staging = {*(lab.spool / ".cdsed").rglob("*"), *pre_spool.rglob("*")} - markers
        # Of the owner files, the directory, its lock and the file of this state stay, but none of a product.
        staging = {path for path in staging if "owners" not in path.parts or path.suffix == ".owner"}
        staging = {path for path in staging if "replaced" not in path.parts}
        hidden = [path for path in lab.inbox.rglob(".*") if path.is_file()]
        locks = list(lab.state.rglob("process.*.lock"))
        return [str(path) for path in (*staging, *hidden, *locks)]

    def _pre_spool(self, name: str) -> Path:
        return (self._elsewhere or self._root) / f"{name}.pre-spool"

    def _lab(self, name: str) -> Installation:
        elsewhere = {"pre_spool": str(self._pre_spool(name))} if self._elsewhere else {}
        lab = Installation(
            self._root / name,
            self._sandbox,
            **elsewhere,
            transfer={"session_cooldown_s": 0.0, "piece_bytes": 2**20, "checkpoint_every_s": 3600},
            retry={"first_delay_s": 0.05, "longest_delay_s": 0.1},
            hooks=[{"name": "all", "command": ["/bin/true"]}],
        )
        identify(lab)
        lab.drop(LISTING, self._lines())
        return lab


_IN_THE_END = {
    "listings": [{"state": "reported", "accepted": 1, "duplicate": 0, "known": 0, "already_present": 0, "rejected": 0}],
    "leases": [],
    "workers": [],
    "pieces": [],
    "integrity": [{"integrity_check": "ok"}],
    "receipt": 1,
    "left over": [],
}


def identify(lab: Installation) -> None:
    """Give each walk's state the same identity: it stands in the name of a file on the way."""
    lab.state.mkdir(exist_ok=True)
    path = lab.state / "identity"
    path.touch(mode=0o640)
    path.write_text(f"{'1' * 32} {path.stat().st_ino}\n", encoding="ascii")


def _lose_unsynced(log: Path, calls: Iterable[Call]) -> None:
    """Cut the log of the state where it ended when it was last synced."""
    written = synced = 0
    for call in calls:
        if call.paths[:1] != (str(log),) or call.failed:
            continue
        if call.syscall in {"fsync", "fdatasync"}:
            synced = written
        elif at := _WRITTEN_AT.search(call.arguments):
            written = max(written, int(at["offset"]) + int(at["size"]))
    os.truncate(log, synced)


def _lose_bytes(lab: Installation, calls: Iterable[Call]) -> _Ranges:
    """Make zeros of what was written to the product's files and not synced; return it."""
    unsynced: _Ranges = {}
    for call in calls:
        path = call.paths[0].removeprefix(f"{lab.spool}/.cdsed/") if call.paths else "/"
        if call.failed or path.startswith("/"):
            continue
        if call.syscall == "syncfs":
            unsynced.clear()
        elif call.syscall in {"fsync", "fdatasync"}:
            unsynced.pop(path, None)
        elif call.syscall == "pwrite64" and (at := _WRITTEN_AT.search(call.arguments)):
            unsynced.setdefault(path, []).append((int(at["offset"]), int(at["size"])))
    for path, ranges in unsynced.items():
        place = next(place for place in (lab.spool / ".cdsed" / path, lab.spool / path) if place.exists())
        with place.open("r+b") as file:
            for offset, size_bytes in ranges:
                file.seek(offset)
                file.write(bytes(size_bytes))
    return unsynced


def _trusted(lab: Installation, lost: _Ranges) -> Iterator[str]:
    """Yield what the state says has arrived although it is lost."""
    for row in lab.query("SELECT path, first_byte, done_bytes FROM piece JOIN object ON object.id = object"):
        found = [ranges for path, ranges in lost.items() if path.partition("/")[2] == row["path"]]
        for offset, _ in itertools.chain.from_iterable(found):
            if row["first_byte"] <= offset < row["first_byte"] + row["done_bytes"]:
                yield f"byte {offset} of {row['path']} counts as arrived, and is lost"


def _broken_history(lab: Installation) -> Iterator[str]:
    """Yield moves that the table of transitions forbids, or that do not begin where the last one ended."""
    before = None
    for event in lab.query("SELECT origin, target FROM event ORDER BY id"):
        if event["origin"] != before:
            yield f"a move from {event['origin']} follows one to {before}"
        if before is not None and State(event["target"]) not in TRANSITIONS[State(before)]:
            yield f"a move from {before} to {event['target']}"
        before = event["target"]


def sifted(found: Sequence[Point], every: int) -> list[Point]:
    """Return all renames and syncs of files that people see, and of each other kind of point every so-many-th."""
    seen: Counter[str] = Counter()
    chosen = []
    for point in found:
        kind = _kind(point)
        if point.syscall in _ALWAYS or seen[kind] % every == 0:
            chosen.append(point)
        seen[kind] += 1
    return chosen


def _kind(point: Point) -> str:
    return f"{point.syscall} {point.path.partition('/')[0]}"


def _said(lab: Installation) -> Path:
    return lab.root / "said"


def counted(found: Iterable[Point]) -> dict[str, int]:
    """Return how many points there are of each system call, and in which directory."""
    return dict(sorted(Counter(_kind(point) for point in found).items()))
