"""What must be true of a disk after a power cut, and of everything at the end, by the sandbox's truth alone."""

import contextlib
import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from pathlib import Path

from cdsed.sandbox.products import Truth
from tests.support.daemon import Installation
from tests.support.invariants import Eye, found_by_the_checker, leftovers, overbooked

_BLOCK_BYTES = 4096
_RECEIPT, _REPORT = ".receipt.json", ".report.json"
_GOOD = {"done", "already_present"}
_CHARGED_AND_DONE = (
    "SELECT product, max(attempts) AS charged, sum(target = 'done') AS times FROM event GROUP BY product"
)
#: What the table counts, and what must be 0.
NEVER = (
    *("listings lost", "listings doubled", "listings taken half", "begun too many"),
    *("lost", "doubled", "half", "zero-filled", "wrong bytes", "charged unfairly", "failed", "overbooked"),
    *("false reports", "false receipts", "damaged states", "damaged backups", "rules broken", "left behind"),
)


class Whereabouts(Enum):
    """Where a listing is after a cut, as far as its uploader cares."""

    TAKEN = auto()
    IN_INBOX = auto()
    DAMAGED_IN_INBOX = auto()
    NOWHERE = auto()


class Verdicts:
    """What was found, by kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.found: list[str] = []

    def add(self, kind: str, what: str) -> None:
        """Note one thing that must never be."""
        assert kind in NEVER, kind
        self.counts[kind] += 1
        self.found.append(f"{kind}: {what}")

    def add_all(self, kind: str, what: Iterable[str]) -> None:
        """Note several."""
        for each in what:
            self.add(kind, each)


def damage(place: Path, truth: Mapping[str, Truth]) -> tuple[str, str] | None:
    """Return of which kind the worst damage of a product on a disk is, and where; None: it is whole."""
    files = {str(path.relative_to(place)): path for path in place.rglob("*") if path.is_file()}
    if place.is_file():
        files, truth = {"": place}, {"": next(iter(truth.values()))}
    if files.keys() != truth.keys():
        return "half", f"{place.name}: files {sorted(files.keys() ^ truth.keys())[:3]}"
    for name, path in files.items():
        known = truth[name]
        if path.stat().st_size != known.size_bytes:
            return "half", f"{place.name}/{name}: {path.stat().st_size} of {known.size_bytes} bytes"
        data = path.read_bytes()
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != known.md5:
            # The bytes of the sandbox are random: none of its blocks has only zeros.
            blocks = [data[at : at + _BLOCK_BYTES] for at in range(0, len(data), _BLOCK_BYTES)]
            empty = sum(not any(block) for block in blocks)
            kind = "zero-filled" if empty else "wrong bytes"
            return kind, f"{place.name}/{name}: {empty} of {len(blocks)} blocks are zeros"
    return None


class Judge:
    """Knows what was asked for, and what people have seen before the cut."""

    def __init__(self, lab: Installation, verdicts: Verdicts) -> None:
        self._lab = lab
        self._verdicts = verdicts
        self._truths: dict[str, dict[str, Truth]] = {}
        self.dropped: dict[str, tuple[str, ...]] = {}
        self.whereabouts: dict[str, Whereabouts] = {}
        self._contents: dict[str, bytes] = {}
        self._seen_papers: set[str] = set()
        self._new_papers: set[str] = set()
        self._seen_done: set[str] = set()

    def expect(self, listing: str, content: bytes, names: Iterable[str]) -> None:
        """Learn of a listing that comes into the inbox, and what its products consist of."""
        self.dropped[listing] = tuple(names)
        self._contents[listing] = content
        for name in self.dropped[listing]:
            self._truths[name] = self._lab.sandbox.truth(name)

    @property
    def wanted_bytes(self) -> int:
        """How many bytes all products have."""
        return sum(each.size_bytes for truth in self._truths.values() for each in truth.values())

    def papers(self) -> set[str]:
        """Return the names of receipts and reports that there are."""
        accepted = self._lab.inbox / ".accepted"
        return {path.name for path in accepted.glob("*.re*.json")} if accepted.is_dir() else set()

    def published(self) -> list[Path]:
        """Return what has a final name."""
        return [
            path for path in self._lab.spool.iterdir() if not path.name.startswith(".") and path.name != "lost+found"
        ]

    def look(self) -> None:
        """Remember what users can see now: it must still be there after a cut.

        The state calls a product done only once that is on the disk, and makes no paper before. The paper itself is
        renamed a moment before its directory is synced, so what is new in this look counts from the next one on.
        """
        papers = self.papers()
        done = self._lab.query("SELECT safename FROM product WHERE state = 'done'")
        self.saw(papers, (row["safename"] for row in done))

    def saw(self, papers: Iterable[str], done: Iterable[str]) -> None:
        """Remember a look that somebody else had."""
        self._seen_papers |= self._new_papers
        self._new_papers = set(papers)
        self._seen_done |= set(done)

    def forget_what_a_backup_lacks(self) -> None:
        """Forget what a backup that is restored now need not know.

        It knows of fewer products that are done. A listing that it does not know goes back to intake, and its receipt
        away, unless it has a report.
        """
        self._seen_done.clear()
        reported = {paper.removesuffix(_REPORT) for paper in self.papers() if paper.endswith(_REPORT)}
        for papers in (self._seen_papers, self._new_papers):
            of_others = {each for each in papers if each.removesuffix(_RECEIPT).removesuffix(_REPORT) not in reported}
            papers.difference_update(of_others)

    def after_cut(
        self, products: Mapping[str, str], listings: Iterable[str], broken: Iterable[str], begun_max: int
    ) -> None:
        """Judge a disk and a state that no daemon has seen since the cut."""
        self._verdicts.add_all("damaged states", broken)
        if (begun := list(products.values()).count("downloading")) > begun_max:
            self._verdicts.add("begun too many", f"{begun} products are downloading, and {begun_max} may be")
        self.whereabouts = {name: self._find(name) for name in self.dropped}
        for name in listings:
            where = self.whereabouts.get(name, Whereabouts.NOWHERE)
            if where in (Whereabouts.NOWHERE, Whereabouts.DAMAGED_IN_INBOX):
                self._verdicts.add("listings lost", f"the state knows {name}, and it is {where.name}")
        whole = self._whole()
        for name in self._seen_done - {name for name, state in products.items() if state in _GOOD}:
            self._verdicts.add("lost", f"{name} was done, and is {products.get(name)}")
        for name, state in products.items():
            if state in _GOOD and name not in whole:
                self._verdicts.add("lost", f"{name} is {state}, and not in the spool")
        for paper in self._seen_papers - self.papers():
            self._verdicts.add("lost", f"{paper} was there before the cut")
        for paper in self.papers():
            self._judge_paper(paper, whole)
        for backup in (self._lab.state / "backups").glob("cdsed-*.sqlite"):
            self._judge_backup(backup)

    def _find(self, listing: str) -> Whereabouts:
        """Tell where a listing is; in directories of cdsed it has to be whole."""
        wanted = self._contents[listing]
        taken = [path for folder in (".taking", ".accepted") if (path := self._lab.inbox / folder / listing).exists()]
        for path in taken:
            if (content := path.read_bytes()) != wanted:
                what = f"{path.parent.name}/{listing}: {len(content)} of {len(wanted)} bytes, {content.count(0)} zeros"
                self._verdicts.add("listings taken half", what)
        if taken:
            return Whereabouts.TAKEN
        if not (self._lab.inbox / listing).exists():
            return Whereabouts.NOWHERE
        is_whole = (self._lab.inbox / listing).read_bytes() == wanted
        return Whereabouts.IN_INBOX if is_whole else Whereabouts.DAMAGED_IN_INBOX

    def at_the_end(self) -> None:
        """Judge an installation that has drained everything and is stopped."""
        whole = self._whole()
        self._judge_endings(whole)
        for listing in self.dropped:
            if self._lab.report(listing) is None:
                self._verdicts.add("listings lost", f"{listing} was never reported")
        for row in self._lab.query("SELECT name, count(*) AS times FROM listing GROUP BY sha256 HAVING times > 1"):
            self._verdicts.add("listings doubled", f"{row['name']} was taken {row['times']} times")
        for paper in self.papers():
            self._judge_paper(paper, whole)
        self._verdicts.add_all("overbooked", overbooked(self._lab.sandbox))
        self._verdicts.add_all("rules broken", [*Eye(self._lab.state).broken(), *found_by_the_checker(self._lab)])
        self._verdicts.add_all("left behind", leftovers(self._lab))
        for aside in ("quarantine", "replaced"):
            self._verdicts.add_all("left behind", (str(path) for path in self._lab.spool.glob(f".cdsed/{aside}/*")))

    def _judge_endings(self, whole: set[str]) -> None:
        """Judge how each product ended, and what its way there cost."""
        rows = self._lab.query("SELECT id, safename, state FROM product")
        states = {row["safename"]: row["state"] for row in rows}
        names = {row["id"]: row["safename"] for row in rows}
        for name in self._truths:
            if states.get(name) not in _GOOD:
                self._verdicts.add("failed" if name in states else "lost", f"{name} ended as {states.get(name)}")
            elif name not in whole:
                self._verdicts.add("lost", f"{name} is not in the spool")
        for row in self._lab.query(_CHARGED_AND_DONE):
            if row["charged"]:
                self._verdicts.add("charged unfairly", f"{names[row['product']]} was charged {row['charged']} attempts")
            if row["times"] > 1:
                self._verdicts.add("doubled", f"{names[row['product']]} became done {row['times']} times")

    def _whole(self) -> set[str]:
        """Return the names of what is whole in the spool; what is not is noted."""
        whole = set()
        for place in self.published():
            if place.name not in self._truths:
                self._verdicts.add("wrong bytes", f"{place.name} is in the spool, and no listing names it")
            elif found := damage(place, self._truths[place.name]):
                self._verdicts.add(*found)
            else:
                whole.add(place.name)
        return whole

    def _judge_paper(self, paper: str, whole: set[str]) -> None:
        listing, _, kind = paper.removesuffix(".json").rpartition(".")
        false = "false reports" if kind == "report" else "false receipts"
        try:
            content = json.loads((self._lab.inbox / ".accepted" / paper).read_bytes())
        except ValueError as error:
            self._verdicts.add(false, f"{paper}: {error}")
            return
        if listing not in self.dropped:
            there = sorted(str(path.relative_to(self._lab.inbox)) for path in self._lab.inbox.rglob("listing-*.txt"))
            self._verdicts.add("listings doubled", f"{paper} is of no listing that was dropped; there are {there}")
            return
        wanted = self.dropped[listing]
        if kind == "report":
            said = {row["safename"]: row["state"] for row in content["products"]}
            if said.keys() != set(wanted):
                self._verdicts.add(false, f"{paper} names {sorted(said.keys() ^ set(wanted))[:3]}")
            for name, state in said.items():
                if state in _GOOD and name not in whole:
                    self._verdicts.add(false, f"{paper}: {name} is {state}, and not in the spool")
            return
        content, counts = self._contents[listing], dict(content["counts"])
        lines = content.count(b"\n")
        # The receipt appears first, then the listing moves out of .taking/.
        kept = [path for folder in (".accepted", ".taking") if (path := self._lab.inbox / folder / listing).exists()]
        if not kept or kept[0].read_bytes() != content:
            self._verdicts.add("listings taken half", f"{paper}: its listing is not what was dropped")
        if counts.pop("lines") != lines or sum(counts.values()) != lines or counts["rejected"]:
            self._verdicts.add(false, f"{paper} says {counts} of {lines} lines")

    def _judge_backup(self, backup: Path) -> None:
        try:
            with contextlib.closing(sqlite3.connect(f"file:{backup}?mode=ro&immutable=1", uri=True)) as db:
                [[verdict]] = db.execute("PRAGMA integrity_check(1)")
        except sqlite3.DatabaseError as error:
            verdict = str(error)
        if verdict != "ok":
            self._verdicts.add("damaged backups", f"{backup.name}: {verdict}")
