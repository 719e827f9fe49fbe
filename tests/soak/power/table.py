"""The table of a campaign: what happened on each file system in each phase, and what was found."""

from collections import Counter, defaultdict

from tests.soak.power.alone import kinds, unavailable
from tests.soak.power.computer import Plan
from tests.support.judge import NEVER, Verdicts
from tests.support.volatile_image import Loss

_HEAD = (
    f"{'file system':<16}{'cut in':<12}{'cuts':>5}{'blocks cached':>15}{'lost':>10}"
    f"{'downloading':>13}{'uploads again':>15}{'found':>7}"
)


class Table:
    """Counts of all computers together, and of each file system and phase."""

    def __init__(self, verdicts: Verdicts) -> None:
        self.totals: Counter[str] = Counter()
        self._verdicts = verdicts
        self._rows: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def add_cut(self, plan: Plan, moment: str, lost: list[Loss], begun: int, again: int, found: int) -> None:
        """Count one cut; a computer with several disks counts for the one that has its state."""
        row = self._rows[plan.kinds[0].name, moment]
        cached, kept = sum(each.cached for each in lost), sum(each.kept for each in lost)
        for counts in (row, self.totals):
            counts["cuts"] += 1
            counts["blocks in caches"] += cached
            counts["of these lost"] += cached - kept
            counts["listings uploaded again"] += again
            counts["downloading after a cut, at most"] = max(counts["downloading after a cut, at most"], begun)
        row["found"] += found

    def text(self, seed: int) -> str:
        """Return all of it."""
        lines = [f"{'seed':<40}{seed:>16}", f"{'file systems':<40}{', '.join(kind.name for kind in kinds())}"]
        lines += [f"not here: {each}" for each in unavailable()]
        lines += ["", _HEAD]
        for (file_system, moment), row in sorted(self._rows.items()):
            lines.append(
                f"{file_system:<16}{moment:<12}{row['cuts']:>5}{row['blocks in caches']:>15,}"
                f"{row['of these lost']:>10,}{row['downloading after a cut, at most']:>13}"
                f"{row['listings uploaded again']:>15}{row['found']:>7}"
            )
        lines += ["", *(f"{what:<40}{count:>16,}" for what, count in self.totals.items())]
        lines += [f"{what:<40}{self._verdicts.counts[what]:>16,}" for what in NEVER]
        return "\n".join(["", *lines, *(f"FOUND {each}" for each in self._verdicts.found[:100])])
