"""The whole job against S3 servers that others wrote; ``docs/servers.md`` is made from the same cases."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.real_servers import ACCOUNT, MANY, PIECES, WHOLE, WRONG_KEY, Case, Kind, RealServer, started, tried
from tests.support.sandbox import SandboxProcess


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A server for all cases of its kind."""
    kind: Kind = request.param
    with started(kind, tmp_path_factory.mktemp("server") / kind.name) as running:
        yield running


def each(case: Case) -> Callable[[Any], Any]:
    """Run a test once for each server with which the case is tried, in the tier that the server has for it."""
    params = [
        pytest.param(kind, id=kind.name, marks=[] if case in kind.in_make_test else pytest.mark.soak)
        for kind, its_case in tried()
        if its_case is case
    ]
    return pytest.mark.parametrize("server", params, indirect=True)


def job(server: RealServer, root: Path, specs: list[dict[str, Any]], **settings: Any) -> Installation:
    """Run a listing of these products to its end; its catalogue is a sandbox, its objects are the server's."""
    names = [spec["safename"] for spec in specs]
    with SandboxProcess() as sandbox:
        lab = Installation(root, sandbox, accounts=[ACCOUNT], services={"s3_url": server.url}, **settings)
        sandbox.add_products(*specs)
        server.upload(specs, sandbox.seed)
        lab.drop("all.txt", names)
        lab.run_once()
        assert lab.endings("all.txt") == [("done", 0)] * len(specs)
        assert lab.differences(names) == []
        assert sandbox.counters()["accounts"]["sandbox-1"]["requests"] == 0
    return lab


@each(WHOLE)
def test_products_of_every_mission_end_whole_in_the_spool(server: RealServer, tmp_path: Path) -> None:
    names = [name for kind in ("S1_GRD", "S2_L2A", "S3", "S5P") for name in realistic_safenames(kind, 1, seed=3)]
    job(server, tmp_path, [{"safename": name, "size_bytes": 400_000} for name in names])


@each(PIECES)
def test_objects_of_several_parts_arrive_in_pieces(server: RealServer, tmp_path: Path) -> None:
    [name] = realistic_safenames("S1_GRD", 1, seed=5)
    spec = {"safename": name, "size_bytes": 16_000_000}
    job(server, tmp_path, [spec], transfer={"piece_bytes": "2MiB"})


@each(MANY)
def test_a_product_of_more_than_a_thousand_objects_is_listed_to_its_end(server: RealServer, tmp_path: Path) -> None:
    [name] = realistic_safenames("S1_GRD", 1, seed=6)
    job(server, tmp_path, [{"safename": name, "size_bytes": 3_000_000, "objects": 1_100}])


@each(WRONG_KEY)
def test_a_wrong_secret_is_the_accounts_fault(server: RealServer, tmp_path: Path) -> None:
    [name] = realistic_safenames("S1_GRD", 1, seed=7)
    with SandboxProcess() as sandbox:
        wrong = replace(ACCOUNT, secret_key="another-secret")
        lab = Installation(tmp_path, sandbox, accounts=[wrong], services={"s3_url": server.url})
        sandbox.add_products({"safename": name, "size_bytes": 100_000})
        lab.drop("one.txt", [name])
        with DaemonProcess(lab) as daemon:
            wait_until("the refusal is known", lambda: "secret key" in lab.command("status").stdout, daemon=daemon)
        [row] = lab.query("SELECT attempts FROM product")
        assert row["attempts"] == 0
