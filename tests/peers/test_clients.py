"""Real clients of CDSE work at the sandbox, changed in nothing but the addresses."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.peers.clients import CLIENTS, KINDS, Client
from tests.peers.environment import peers_python
from tests.support.sandbox import SandboxProcess

_NAMES = {kind: realistic_safenames(kind, 5, seed=3) for kind in KINDS}
_PEERS = (pytest.mark.peers, pytest.mark.timeout(1800))  # the first one installs them all


@pytest.fixture(scope="module")
def products() -> Iterator[SandboxProcess]:
    """A sandbox with five products of each kind, of which a client gets the first."""
    made = make_accounts(len(CLIENTS), seed=1)
    accounts = [replace(account, sessions=client.connections) for account, client in zip(made, CLIENTS, strict=True)]
    names = [name for kind in KINDS for name in _NAMES[kind]]
    with SandboxProcess(accounts) as sandbox:
        sandbox.add_products(*({"safename": name, "size_bytes": 1_000_000, "zipped": True} for name in names))
        yield sandbox


def _case(sandbox: SandboxProcess, client: Client, out: Path) -> dict[str, Any]:
    account = sandbox.accounts[CLIENTS.index(client)]
    name, (stac, eodag) = _NAMES[client.kind][0], KINDS[client.kind]
    item = sandbox.stac_item(stac, name.removesuffix(".SAFE"))
    return {
        "url": sandbox.url,
        "access_key": account.access_key,
        "secret_key": account.secret_key,
        "login": account.user_name,
        "password": account.password,
        "safename": name,
        "s3_path": item["assets"]["safe_manifest"]["href"].removeprefix("s3:/").removesuffix("/manifest.safe"),
        "files": sorted(sandbox.truth(name)),
        "bounds": item["bbox"],
        "collection": "SENTINEL-1",
        "type": item["properties"]["product:type"],
        "stac": stac,
        "eodag": eodag,
        "start": "2014-01-01T00:00:00Z",
        "end": "2027-01-01T00:00:00Z",
        "out": str(out),
    }


def _tree(out: Path, name: str) -> dict[str, str]:
    """Return the MD5 of each file of the product below `out`, out of a zip where it is one, by its path in it."""
    for path in list(out.rglob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(out)
        path.unlink()
    [root, *_inner] = [path for path in sorted(out.rglob("*")) if path.is_dir() and name.startswith(path.name)]
    return {
        str(path.relative_to(root)): hashlib.md5(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def _run(client: Client, case: dict[str, Any], cwd: Path) -> "subprocess.CompletedProcess[str]":
    python = Path(sys.executable) if client.in_test_environment else peers_python()
    program, *arguments = client.program.split()
    command = [str(python), str(Path(__file__).parent / "programs" / program), *arguments]
    environ = {**os.environ, "CASE": json.dumps(case), "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1"}
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=150, check=False)


@pytest.mark.parametrize(
    "client",
    [pytest.param(each, id=each.name, marks=() if each.in_test_environment else _PEERS) for each in CLIENTS],
)
def test_a_client_works_with_nothing_changed_but_the_addresses(
    client: Client, products: SandboxProcess, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    done = _run(client, _case(products, client, out), tmp_path)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    if client.downloads:
        name = _NAMES[client.kind][0]
        assert _tree(out, name) == {path: truth.md5 for path, truth in products.truth(name).items()}
