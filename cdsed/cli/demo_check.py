"""Checking that the results of the demo are as expected: the report files of the listing, and the bytes on disk."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from cdsed.cli import demo_plot
from cdsed.cli.demo_stage import Stage
from cdsed.errors import ExitCode
from cdsed.model.product_state import SUCCEEDED


def surprises(stage: Stage, exit_code: int) -> Iterator[str]:
    """Yield every difference from what the plot expects."""
    if exit_code != ExitCode.UNFINISHED:
        yield f"the daemon exited with {exit_code}; it should be 1, as not all products can be downloaded"
    counts = json.loads(stage.report_file("receipt.json").read_text(encoding="utf-8"))["counts"]
    wrong = {verdict: counts[verdict] for verdict, count in demo_plot.COUNTS.items() if counts[verdict] != count}
    if wrong:
        yield f"the receipt counts {wrong}; expected {demo_plot.COUNTS}"
    rows = json.loads(stage.report_file("report.json").read_text(encoding="utf-8"))["products"]
    states = {row["safename"]: row["state"] for row in rows}
    for safename, state in demo_plot.expected().items():
        if states.pop(safename, None) != state:
            yield f"{safename} is not {state}"
    yield from (f"{safename} is not in the report" for safename in states)
    yield from (f"{row['safename']} was charged {row['attempts']} attempts" for row in rows if row["attempts"])
    for name, counted in stage.counters().items():
        if counted["open_max"] > 4:
            yield f"account {name} had {counted['open_max']} connections open at once"


def compare(stage: Stage) -> tuple[int, list[str]]:
    """Compare every product on disk with the source; return the number of identical files, and the differences."""
    identical, different = 0, []
    rows = json.loads(stage.report_file("report.json").read_text(encoding="utf-8"))["products"]
    for row in rows:
        if row["state"] not in SUCCEEDED:
            continue
        found, truth = _digests(Path(row["path"])), stage.truth(row["safename"])
        same = {path for path in found.keys() & truth.keys() if found[path] == truth[path]}
        identical += len(same)
        different += [f"{row['safename']}: {path}" for path in sorted((found.keys() | truth.keys()) - same)]
    return identical, different


def _digests(place: Path) -> dict[str, str]:
    """Return the MD5 of every file by its path below `place`; a product that is one file has its name."""
    if place.is_file():
        return {place.name: _md5(place)}
    return {str(path.relative_to(place)): _md5(path) for path in place.rglob("*") if path.is_file()}


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
