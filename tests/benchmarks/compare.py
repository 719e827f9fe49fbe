"""Print what changed between two runs: ``python -m tests.benchmarks.compare OLD.json NEW.json``.

A figure counts as changed when the ranges of its repeats do not overlap.
"""

import sys
from pathlib import Path

from tests.benchmarks.record import read, results_of
from tests.benchmarks.result import Result


def main(arguments: list[str]) -> int:
    """Compare two files; return 2 if there are not two of them."""
    if len(arguments) != 2:
        print("usage: python -m tests.benchmarks.compare OLD.json NEW.json", file=sys.stderr)
        return 2
    print("\n".join(rows(*(results_of(read(Path(argument))) for argument in arguments))))
    return 0


def rows(old: dict[str, Result], new: dict[str, Result]) -> list[str]:
    """Return the lines of the table: what both runs have, then what one of them lacks."""
    both = [what for what in new if what in old]
    width = max((len(what) for what in both), default=0)
    lines = [f"{'what':<{width}}  {'old':<32}  {'new':<32}  {'new / old':>9}"]
    for what in both:
        before, after = old[what], new[what]
        ratio = f"{after.value / before.value:.2f}" if before.value else "-"
        change = changed(before, after)
        lines.append(f"{what:<{width}}  {before.value_text:<32}  {after.value_text:<32}  {ratio:>9}  {change}".rstrip())
    return lines + [f"only in one of them: {what}" for what in old.keys() ^ new.keys()]


def changed(before: Result, after: Result) -> str:
    """Return "lower" or "higher" when the ranges of the repeats do not overlap, else nothing."""
    if before.lowest is None or before.highest is None or after.lowest is None or after.highest is None:
        return ""
    if after.highest < before.lowest:
        return "lower"
    return "higher" if after.lowest > before.highest else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
