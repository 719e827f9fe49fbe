"""The sandbox as a process: options, files it writes, control calls, signals."""

import http.client
import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from cdsed.sandbox.names import realistic_safenames
from cdsed.sandbox.products import ProductSpec, truth
from tests.support.daemon import wait_until
from tests.support.sandbox import SandboxProcess

ROOT = Path(__file__).parents[3]


def start_command(*options: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cdsed.sandbox", *options]
    return subprocess.Popen(command, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_products_faults_counters_and_truth_go_over_http():
    name = realistic_safenames("S1_GRD", 1)[0]
    with SandboxProcess(2, seed=5) as sandbox:
        paths = sandbox.add_products({"safename": name, "size_bytes": 50_000, "manifest_lies": True})
        assert paths[name].startswith("/eodata/Sentinel-1/")
        assert sandbox.truth(name) == truth(5, ProductSpec(name, 50_000, manifest_lies="*"))
        number = sandbox.fault(kind="internal_error", operation="odata")
        with closing(http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)) as connection:
            connection.request("GET", "/odata/v1/Products?$filter=Name%20eq%20'x'")
            assert connection.getresponse().status == 500
        sandbox.clear_faults(number)
        counters = sandbox.counters()
        assert counters["faults"] == {"internal_error": 1}
        assert counters["odata_requests"] == 1
        assert set(counters["accounts"]) == {"sandbox-1", "sandbox-2"}
        assert sandbox.requests()[-1]["status"] == 500
        sandbox.reset_counters()
        assert sandbox.counters()["odata_requests"] == 0
        with pytest.raises(RuntimeError, match="a fault has a kind"):
            sandbox.fault(kind="nonsense")
        assert sandbox.stop() == 0


def test_a_stopped_sandbox_comes_back_on_its_port():
    with SandboxProcess() as sandbox:
        url = sandbox.url
        sandbox.stop()
        sandbox.start()
        assert sandbox.url == url


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_in_the_middle_of_a_stalled_answer(number, tmp_path):
    ready = tmp_path / "ready.json"
    process = start_command("--ready-file", str(ready))
    wait_until("it is ready", ready.exists)
    port = int(json.loads(ready.read_text(encoding="utf-8"))["url"].rpartition(":")[2])
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("POST", "/_control/faults", body=json.dumps([{"kind": "stall"}]))
        connection.getresponse().read()
        connection.request("GET", "/odata/v1/Products")
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    assert f"http://127.0.0.1:{port}" in output
    assert "s3_secret_key" in output


def test_what_it_writes_for_cdsed_is_complete_and_private(tmp_path):
    listing = tmp_path / "names.txt"
    names = realistic_safenames("S2_L1C", 2) + realistic_safenames("S5P", 1)
    listing.write_text("# mine\n" + "\n".join([*names, "S6A_UNKNOWN", ""]), encoding="utf-8")
    ready = tmp_path / "ready.json"
    process = start_command(
        *("--listing", str(listing), "--size", "1MB", "--write", str(tmp_path / "trial")),
        *("--accounts", "3", "--ready-file", str(ready)),
    )
    wait_until("it is ready", ready.exists)
    process.terminate()
    output, errors = process.communicate(timeout=60)
    assert "S6A_UNKNOWN" in errors
    assert str(tmp_path / "trial" / "cdsed.yml") in output
    assert (tmp_path / "trial" / "accounts.yml").stat().st_mode & 0o777 == 0o600
    settings = yaml.safe_load((tmp_path / "trial" / "cdsed.yml").read_text(encoding="utf-8"))
    accounts = yaml.safe_load((tmp_path / "trial" / "accounts.yml").read_text(encoding="utf-8"))
    url = json.loads(ready.read_text(encoding="utf-8"))["url"]
    assert settings["services"]["s3_url"] == url
    assert Path(settings["accounts_file"]) == tmp_path / "trial" / "accounts.yml"
    assert list(accounts["groups"]["default"]["accounts"]) == ["sandbox-1", "sandbox-2", "sandbox-3"]
    assert (tmp_path / "trial" / "listing.txt").read_text(encoding="utf-8").split() == names


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--listing", "/nowhere/at/all"), "cannot read the listing"),
        (("--accounts-file", "/nowhere/at/all"), "cannot read the accounts"),
        (("--size", "big"), "is not a size"),
        (("--port", "99999"), "'99999' is not a whole number from 0 to 65535"),
    ],
)
def test_a_wrong_option_is_one_clear_line(options, words):
    process = start_command(*options)
    _output, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert words in errors
    assert "Traceback" not in errors
