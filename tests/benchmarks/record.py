"""The JSON file of a run of the benchmarks."""

import json
import os
import platform
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.environment import BUILD
from tests.benchmarks.processes import Cost
from tests.benchmarks.result import Result

SCHEMA = 1


@dataclass
class Record:
    """What a run has measured; `short` is its form.

    Attributes
    ----------
    results
        The figures by the name of their benchmark.
    runs
        Each single run of a comparison: data set, client, repeat, server, cost.
    """

    short: bool
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    results: dict[str, list[Result]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def write(self, path: Path | None = None) -> Path:
        """Write the file, by default ``build/bench/TIME.json``; return its path."""
        path = path or BUILD / f"{self.began_at:%Y%m%dT%H%M%S}{'-short' if self.short else ''}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.document(), indent=1) + "\n", encoding="utf-8")
        return path

    def document(self) -> dict[str, Any]:
        """Return what the file says."""
        return {
            "schema": SCHEMA,
            "began_at": self.began_at.isoformat(timespec="seconds"),
            "short": self.short,
            "machine": machine(),
            "seconds": self.seconds,
            "results": {name: [result.document() for result in results] for name, results in self.results.items()},
            "runs": RUNS,
        }


#: Single runs, in their order, as they go into the file.
RUNS: list[dict[str, Any]] = []


def note_run(benchmark: str, data_set: str, client: str, repeat: int, cost: Cost) -> None:
    """Keep one run of a comparison for the file."""
    about = {"benchmark": benchmark, "data_set": data_set, "client": client, "repeat": repeat}
    RUNS.append({**about, **asdict(cost), "load_1min": os.getloadavg()[0], "at_s": time.monotonic()})


def machine() -> dict[str, Any]:
    """Return what a reader has to know of the machine, without its name."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
    }


def read(path: Path) -> dict[str, Any]:
    """Return the document of a run; ValueError if it is of another schema."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if document.get("schema") != SCHEMA:
        raise ValueError(f"{path}: schema {document.get('schema')} instead of {SCHEMA}")
    return document


def results_of(document: dict[str, Any]) -> dict[str, Result]:
    """Return the figures of a run by what they measure."""
    return {item["what"]: Result(**item) for items in document["results"].values() for item in items}
