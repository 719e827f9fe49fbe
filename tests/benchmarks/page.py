"""Write docs/performance.md and its charts from a run: ``python -m tests.benchmarks.page build/bench/TIME.json``.

Without a file, the page is written without figures.
"""

import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.chart import chart
from tests.benchmarks.clients import DAEMON, ONCE
from tests.benchmarks.data_sets import LISTED
from tests.benchmarks.environment import ROOT
from tests.benchmarks.page_text import HOW, INTRODUCTION, NO_FIGURES, REPEAT
from tests.benchmarks.record import read, results_of
from tests.benchmarks.result import Result

PAGE, PICTURES = ROOT / "docs" / "performance.md", ROOT / "docs" / "pictures"
_PEERS, _QUOTA = "performance-peers.svg", "performance-quota.svg"
_SHARE = ": achieved / possible"


def main(arguments: list[str]) -> int:
    """Write the page, and the charts if there are figures for them; return 2 if there are too many arguments."""
    if len(arguments) > 1:
        print("usage: python -m tests.benchmarks.page [RUN.json]", file=sys.stderr)
        return 2
    document = read(Path(arguments[0])) if arguments else None
    for name, picture in pictures(document).items():
        (PICTURES / name).write_text(picture, encoding="utf-8")
    PAGE.write_text(text(document), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} is written; look at it, and at its pictures")
    return 0


def text(document: dict[str, Any] | None) -> str:
    """Return the page."""
    if document is None:
        return f"{INTRODUCTION}\n{NO_FIGURES}\n{HOW}\n{REPEAT}"
    results = results_of(document)
    made = pictures(document)
    parts = [INTRODUCTION, _machine(document)]
    if _PEERS in made:
        parts.append(f"![Wall time of cdsed as a ratio to other programs](pictures/{_PEERS})\n")
    if _QUOTA in made:
        parts.append(f"![Share of the possible bandwidth](pictures/{_QUOTA})\n")
    goals = [result for result in results.values() if result.goal_text != "-"]
    others = [result for result in results.values() if result.goal_text == "-"]
    parts += ["## Goals\n", _table(goals), "## Other figures\n", _table(others), HOW, REPEAT]
    return "\n".join(parts)


def pictures(document: dict[str, Any] | None) -> dict[str, str]:
    """Return the charts by the names of their files."""
    results = results_of(document) if document else {}
    peers = [(name, _against_peers(name, results)) for name in LISTED]
    utilised = [(what[len("quota: ") : -len(_SHARE)], result) for what, result in results.items() if _is_share(what)]
    made = {}
    if any(rows for _name, rows in peers):
        shown = [(name, rows) for name, rows in peers if rows]
        made[_PEERS] = chart("Wall time of cdsed / wall time of the other program (shorter is faster)", shown)
    if utilised:
        made[_QUOTA] = chart("Bandwidth until published / bandwidth that the quota allows", [("", utilised)])
    return made


def _against_peers(name: str, results: dict[str, Result]) -> list[tuple[str, Result]]:
    """Return the ratios of wall times of one data set, with both ways of running cdsed side by side."""
    rows = []
    for what, result in results.items():
        head, _colon, ratio = what.partition(": ")
        mine, _slash, peer = ratio.partition(" / ")
        if head == name and mine in {DAEMON, ONCE} and not peer.endswith(", CPU"):
            rows.append((f"{'daemon' if mine == DAEMON else 'run --once'} / {peer}", result))
    return sorted(rows, key=lambda row: (row[0].partition(" / ")[2], row[0]))


def _is_share(what: str) -> bool:
    return what.startswith("quota: ") and what.endswith(_SHARE)


def _machine(document: dict[str, Any]) -> str:
    machine = document["machine"]
    form = "The short form was run, so take the figures as a hint.\n" if document["short"] else ""
    return (
        f"These figures are of {document['began_at'][:10]}: {machine['cores']} cores, loopback, kernel "
        f"{machine['kernel']}, Python {machine['python']}. A figure in front of brackets is a median, and the brackets "
        f"have the lowest, the highest and the number of repeats.\n{form}"
    )


def _table(results: list[Result]) -> str:
    lines = ["| what | measured | goal | |", "|---|---|---|---|"]
    lines += [f"| {item.what} | {item.value_text} | {item.goal_text} | {item.verdict} |" for item in results]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
