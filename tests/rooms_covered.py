"""Line and branch coverage by package, from the data of a run under coverage; ``make coverage`` runs it.

``python -m tests.rooms_covered [ROOM ...]`` also lists what is not covered in these packages.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

_REQUIRED = frozenset({"model", "store", "work", "process", "transfer"})
_REQUIRED_PERCENT = 95.0


def main(rooms_in_detail: list[str]) -> int:
    """Print the table; return 1 if a package that needs 95 % has less."""
    files = _measured()
    rooms: dict[str, Counter[str]] = defaultdict(Counter)
    for name, file in files.items():
        for what in ("num_statements", "covered_lines", "num_branches", "covered_branches"):
            rooms[_room(name)][what] += file["summary"][what]
    poor = []
    print(f"{'room':<16}{'lines':>8}{'covered':>9}{'branches':>10}{'covered':>9}{'percent':>9}")
    for room, sums in sorted(rooms.items()):
        percent = _percent(sums)
        if room in _REQUIRED and percent < _REQUIRED_PERCENT:
            poor.append(room)
        print(
            f"{room:<16}{sums['num_statements']:>8}{sums['covered_lines']:>9}{sums['num_branches']:>10}"
            f"{sums['covered_branches']:>9}{percent:>9.1f}{'  needs 95' if room in poor else ''}"
        )
    for name, file in sorted(files.items()):
        if _room(name) in {*rooms_in_detail, *poor} and (file["missing_lines"] or file["missing_branches"]):
            branches = [f"{origin}->{target}" for origin, target in file["missing_branches"]]
            print(f"{name}: lines {_spans(file['missing_lines'])}; branches {', '.join(branches) or 'none'}")
    return 1 if poor else 0


def _measured() -> dict[str, dict]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "coverage.json")
        subprocess.run([sys.executable, "-m", "coverage", "json", "-q", "-o", str(report)], check=True)
        return json.loads(report.read_text(encoding="utf-8"))["files"]


def _room(name: str) -> str:
    return Path(name).parts[1].removesuffix(".py") if name.startswith("cdsed/") else name


def _percent(sums: Counter[str]) -> float:
    of = sums["num_statements"] + sums["num_branches"]
    return 100 * (sums["covered_lines"] + sums["covered_branches"]) / of if of else 100.0


def _spans(lines: list[int]) -> str:
    spans: list[list[int]] = []
    for line in lines:
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans) or "none"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
