"""Standing queries with the real daemon at a sandbox: each product once, through outages and kills."""

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from cdsed.clock import iso
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_QUERY = {"name": "ocn", "search": {"collection": "SENTINEL-1", "name": "S1*"}, "every_s": 1.0, "group": "default"}


def lab_with(tmp_path: Path, sandbox: SandboxProcess, **query: Any) -> Installation:
    return Installation(
        tmp_path / "lab", sandbox, transfer={"processes": 1}, queries=[{**_QUERY, **query}], log_level="INFO"
    )


def publish(sandbox: SandboxProcess, *safenames: str, before_s: float = 0.0, **spec: Any) -> None:
    at = iso(time.time() - before_s)
    sandbox.add_products(*({"safename": name, "size_bytes": 60_000, "published_at": at, **spec} for name in safenames))


def listed(lab: Installation) -> list[str]:
    """Return the names in all listings of queries that were accepted, sorted."""
    names = []
    for path in (lab.inbox / ".accepted").glob("query-*.csv"):
        names += [line.split(",")[1] for line in path.read_text("utf-8").splitlines()[1:] if "," in line]
    return sorted(name for name in names if name != "safename")


def reports(lab: Installation) -> list[dict[str, Any]]:
    paths = sorted((lab.inbox / ".accepted").glob("query-*.csv.query.json"))
    return [json.loads(path.read_text("utf-8")) for path in paths]


def row_of(sandbox: SandboxProcess, safename: str) -> dict[str, Any]:
    url = f"{sandbox.catalogue_url}/Products?$filter=Name%20eq%20'{safename}'"
    with urllib.request.urlopen(url) as response:
        [row] = json.load(response)["value"]
    return dict(row)


def done(lab: Installation) -> int:
    return len(lab.query("SELECT id FROM product WHERE state = 'done'"))


def test_new_products_are_fetched_once_through_outages_and_kills(tmp_path: Path, sandbox: SandboxProcess) -> None:
    first, second = realistic_safenames("S1_OCN", 2, seed=5)
    lab = lab_with(tmp_path, sandbox)
    publish(sandbox, first, before_s=60)
    with DaemonProcess(lab) as daemon:
        wait_until("the first product", lambda: done(lab) == 1, daemon=daemon)
        outage = sandbox.fault(kind="not_found", operation="odata")
        publish(sandbox, second)
        wait_until("the outage is shown", lambda: "ocn fails" in json.dumps(lab.status()), daemon=daemon)
        daemon.kill()
        sandbox.clear_faults(outage)
        daemon.start()
        wait_until("the second product", lambda: done(lab) == 2, daemon=daemon)
        wait_until("the notice is withdrawn", lambda: "ocn fails" not in json.dumps(lab.status()), daemon=daemon)
    assert listed(lab) == sorted([first, second])
    assert lab.differences([first, second]) == []
