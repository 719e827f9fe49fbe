"""Cuts, one after the other: ``python -m tests.soak.power.campaign SEED CUTS [--without-syncs | --lying-disk]``.

It needs namespaces of its own (`tests.soak.power.alone`). A computer takes up to ten cuts, then it drains everything
and is compared with the truth. File systems and placements take turns. It leaves with 1 if anything was found.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from tests.soak.power.alone import kinds
from tests.soak.power.computer import PLACEMENTS, WITHOUT_SYNCS, Computer, Plan, wait_for
from tests.soak.power.rig import Kind, NotMountable
from tests.soak.power.table import Table
from tests.soak.power.uploads import Uploads, ways
from tests.support.disk_state import dice_for
from tests.support.judge import Judge, Verdicts
from tests.support.volatile_image import Loss, Survival

_CUTS_OF_ONE_MAX = 10
_DRAINED_WITHIN_S, _MOMENT_WITHIN_S = 300.0, 25.0
_BACKLOG = 25
_SHOWN = 10
#: When the power is cut, and how often: soon after a start, in transfer, as a product or a paper appears, and so on.
_MOMENTS = {
    "recovery": 4,
    "transfer": 5,
    "publishing": 5,
    "a paper": 3,
    "an upload": 5,
    "a zip": 2,
    "a backup": 2,
    "a restore": 1,
}
_SURVIVALS: dict[Survival, int] = {"chance": 6, "prefix": 3, "none": 2, "all": 1}
_HEAD = (
    f"{'cut':>4} {'disks':<46}{'moment':<12}{'survival':<9}"
    f"{'kept / cached':>15}{'downloading':>12}{'done':>6}{'all':>5}"
)


class Round:
    """One computer, its cuts, and its end."""

    def __init__(self, computer: Computer, verdicts: Verdicts, table: Table) -> None:
        self._computer = computer
        self._verdicts = verdicts
        self._table = table
        self._judge = Judge(computer.lab, verdicts)
        self._uploads = Uploads(computer, self._judge)
        self._listings = 0

    def run(self, first: int, cuts: int) -> None:
        """Cut so often, drain, and judge."""
        for number in range(first, first + cuts):
            dice = dice_for(self._computer.plan.seed, "cut", number)
            [moment] = dice.choices(list(_MOMENTS), list(_MOMENTS.values()))
            if number == first and self._computer.plan.begins_with_old_state:
                moment = "an upgrade"
            self._feed(dice_for(self._computer.plan.seed, "listing", number))
            try:
                self._cut(number, moment, dice)
            except NotMountable as error:
                self._table.totals["file systems that did not mount again"] += 1
                print(f"     after cut {number}: {error}. What follows of this computer is left out", flush=True)
                return
        self._drain()

    def _feed(self, dice: random.Random, more: int = 0, *, way: str | None = None) -> None:
        """Drop listings until there is enough to do, and so many more."""
        asked = sum(map(len, self._judge.dropped.values()))
        while asked - len(self._judge.published()) < _BACKLOG or more > 0:
            self._listings += 1
            more -= 1
            names = self._make_products(dice)
            self._uploads.begin(f"listing-{self._listings}.txt", names, dice, way=way)
            asked += len(names)

    def _make_products(self, dice: random.Random) -> list[str]:
        """Let the sandbox have new products; S3 refuses some, which come as zips, and fails in other ways."""
        sandbox, seed = self._computer.sandbox, dice.randrange(10**9)
        small = [
            {"safename": name, "size_bytes": dice.randrange(100_000, 1_500_000), "zipped": True}
            for name in realistic_safenames("S1_OCN", dice.randrange(5, 20), seed=seed)
        ]
        large = [
            {"safename": name, "size_bytes": dice.randrange(15_000_000, 40_000_000)}
            for name in realistic_safenames("S1_SLC", dice.randrange(2), seed=seed)
        ]
        paths = sandbox.add_products(*small, *large)
        for product in small[: dice.randrange(4)]:
            key = paths[str(product["safename"])].removeprefix("/eodata/")
            sandbox.fault(kind="forbidden", operation="list", key=key, code="AccessDenied")
            self._table.totals["products that come as zips"] += 1
        for kind in ("wrong_bytes", "reset"):  # blocks of files are written again
            sandbox.fault(kind=kind, operation="get", times=4, skip=dice.randrange(60), after_bytes=9000)
        return [str(product["safename"]) for product in (*small, *large)]

    def _cut(self, number: int, moment: str, dice: random.Random) -> None:
        computer, judge, before = self._computer, self._judge, len(self._verdicts.found)
        [survival] = dice.choices(list(_SURVIVALS), list(_SURVIVALS.values()))
        if moment == "a restore":
            judge.forget_what_a_backup_lacks()
            computer.beside("state", "restore", "--yes")
            time.sleep(dice.uniform(0.3, 1.5))
        else:
            computer.boot()
            self._wait_for(moment, dice)
            if not computer.running():
                self._verdicts.add("rules broken", f"the daemon left before cut {number}: {computer.log_end()}")
        lost = computer.cut(survival, dice.randrange(2**32), written_back=dice.random() < 0.6)
        state = computer.read_state()
        judge.after_cut(state.products, state.listings, state.broken, computer.begun_max)
        again = self._uploads.again()
        print(_row(number, computer.plan, f"{moment:<12}{survival:<9}", lost, state.products), flush=True)
        for found in self._verdicts.found[before:][:_SHOWN]:
            print(f"     FOUND after cut {number}: {found}", flush=True)
        begun, found = state.count("downloading"), len(self._verdicts.found) - before
        self._table.add_cut(computer.plan, moment, lost, begun, again, found)

    def _wait_for(self, moment: str, dice: random.Random) -> None:
        """Look on, as people do, until the moment has come."""
        computer, judge = self._computer, self._judge
        if moment == "recovery":
            time.sleep(dice.uniform(0, 2.5))
            return
        if moment == "an upgrade":
            wait_for((computer.lab.state / "backups").exists, _MOMENT_WITHIN_S, 0.001)
            time.sleep(dice.uniform(0, 0.15))
            return
        if moment == "an upload":
            self._feed(dice, more=1, way=dice.choice(ways()))
            until = dice.choice((lambda: True, self._uploads.ended, self._newest_is_taken))
            wait_for(until, _MOMENT_WITHIN_S, 0.002)
            time.sleep(dice.uniform(0, 0.4))
            return
        if moment == "a zip":
            before = self._zips()
            self._feed(dice, more=1)
            wait_for(lambda: self._zips() - before, _MOMENT_WITHIN_S, 0.02)
            time.sleep(dice.uniform(0, 0.5))
            return
        sent, papers = computer.sandbox.bytes_sent(), judge.papers()
        wait_for(lambda: computer.sandbox.bytes_sent() > sent, _MOMENT_WITHIN_S, 0.1)
        self._look_for(dice.uniform(0.3, 4))
        if moment == "publishing":
            published = set(judge.published())
            wait_for(lambda: set(judge.published()) - published, _MOMENT_WITHIN_S, 0.002)
            time.sleep(dice.uniform(0, 0.06))
        elif moment == "a paper":
            self._feed(dice, more=1)
            papers = judge.papers()
            wait_for(lambda: judge.papers() - papers, _MOMENT_WITHIN_S, 0.002)
            time.sleep(dice.uniform(0, 0.04))
        elif moment == "a backup":
            computer.beside("state", "backup")
            time.sleep(dice.uniform(0.2, 1.2))

    def _newest_is_taken(self) -> bool:
        newest, inbox = f"listing-{self._listings}.txt", self._computer.lab.inbox
        return any((inbox / folder / newest).exists() for folder in (".taking", ".accepted"))

    def _zips(self) -> set[float]:
        """Return when zips were asked for of late."""
        return {each["boot_s"] for each in self._computer.sandbox.requests(500) if each["operation"] == "zip"}

    def _look_for(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self._judge.look()
            time.sleep(0.2)

    def _drain(self) -> None:
        """Let everything arrive, stop, compare."""
        computer, judge = self._computer, self._judge
        before = len(self._verdicts.found)
        computer.boot()
        wait_for(lambda: all(computer.lab.report(name) for name in judge.dropped), _DRAINED_WITHIN_S, 0.2)
        wait_for(lambda: not computer.leftovers(), 90, 1)
        computer.stop()
        judge.at_the_end()
        for found in self._verdicts.found[before:][:_SHOWN]:
            print(f"     FOUND at the end of {computer.plan}: {found}", flush=True)
        self._table.totals["computers"] += 1
        self._table.totals["listings"] += len(judge.dropped)
        self._table.totals["products"] += sum(map(len, judge.dropped.values()))
        self._table.totals["bytes of products"] += judge.wanted_bytes
        self._table.totals["bytes sent"] += computer.sandbox.bytes_sent()
        if len(self._verdicts.found) > before:
            print(computer.log_end())


def _row(number: int, plan: Plan, what: str, lost: list[Loss], products: dict[str, str]) -> str:
    kept, cached = sum(each.kept for each in lost), sum(each.cached for each in lost)
    states = Counter(products.values())
    disks = f"{plan.placement}: {'+'.join(kind.name for kind in plan.kinds)}"
    return (
        f"{number:>4} {disks:<46}{what}{f'{kept:,} / {cached:,}':>15}"
        f"{states['downloading']:>12}{states['done']:>6}{len(products):>5}"
    )


def _plans(seed: int, cuts: int, there_are: list[Kind], **different: object) -> Iterator[tuple[Plan, int]]:
    """Yield computers and how many cuts each takes: every file system in turn, each time with another placement."""
    computers = max(min(cuts, len(there_are)), -(-cuts // _CUTS_OF_ONE_MAX))
    for number in range(computers):
        dice = dice_for(seed, "computer", number)
        placement = PLACEMENTS[(number + number // len(there_are) + seed) % len(PLACEMENTS)]
        disks = {"state apart": 2, "all apart": 3}.get(placement, 1)
        chosen = (there_are[number % len(there_are)], *(dice.choice(there_are) for _ in range(disks - 1)))
        share = cuts // computers + (number < cuts % computers)
        yield Plan(placement, chosen, dice.randrange(10**6), number % 2 == 1, **different), share  # type: ignore[arg-type]


def main() -> int:
    """Run the campaign; 0: nothing was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seed", type=int)
    parser.add_argument("cuts", type=int)
    parser.add_argument("--only", default="", help="the name of one file system")
    parser.add_argument("--without-syncs", action="store_true")
    parser.add_argument("--lying-disk", action="store_true")
    arguments = parser.parse_args()
    chosen = [kind for kind in kinds() if arguments.only in ("", kind.name)]
    different = {"honest": not arguments.lying_disk, "under": WITHOUT_SYNCS if arguments.without_syncs else ()}
    verdicts, first = Verdicts(), 1
    table = Table(verdicts)
    print(_HEAD, flush=True)
    with tempfile.TemporaryDirectory(prefix="power-", ignore_cleanup_errors=True) as folder:
        for plan, cuts in _plans(arguments.seed, arguments.cuts, chosen, **different):
            with Computer(Path(folder) / f"computer-{first}", plan) as computer:
                Round(computer, verdicts, table).run(first, cuts)
            first += cuts
    print(table.text(arguments.seed), flush=True)
    return 1 if verdicts.found else 0


if __name__ == "__main__":
    sys.exit(main())
