"""What the doctor says about services: TLS, catalogue, clock, accounts; at a sandbox and at a server with TLS."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cdsed import log
from cdsed.cli.main import main
from cdsed.clock import SYSTEM_CLOCK, Clock
from cdsed.config.load import load_settings
from cdsed.config.settings import Settings
from cdsed.doctor import services, signed_request
from cdsed.doctor.finding import Finding
from cdsed.doctor.timed import in_time
from cdsed.process.lock import KernelLock
from tests.support.daemon import Installation
from tests.support.sandbox import SandboxProcess
from tests.support.tls_site import TlsServer, make_certificates


@pytest.fixture
def lab(tmp_path: Path, shared_sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.setattr(log, "_secrets", set())
    monkeypatch.setenv("CDSED_REGISTER_DIR", str(tmp_path / "register"))
    (tmp_path / "register").mkdir(mode=0o700)
    return Installation(tmp_path / "lab", shared_sandbox)


def doctor(
    lab: Installation, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[int, dict[str, list[Finding]]]:
    code = main(["doctor", "--json", "--config", str(lab.config), *options])
    text = capsys.readouterr().out
    secrets = [*(each.secret_key for each in lab.sandbox.accounts), "canary-proxy"]
    assert not [secret for secret in secrets if secret in text]
    found: dict[str, list[Finding]] = {}
    for each in json.loads(text)["findings"]:
        found.setdefault(each["check"], []).append(Finding(**each))
    return code, found


def test_online_each_account_sends_one_signed_request(lab: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    lab.sandbox.reset_counters()
    code, found = doctor(lab, capsys, "--online")
    assert code == 0
    assert [each.text for each in found["signed"]] == [
        f"S3 accepts the keys of account {each.name}" for each in lab.sandbox.accounts
    ]
    asked = [each for name in ("dns", "connection", "catalogue", "identity") for each in found[name]]
    assert [each.verdict for each in asked] == ["ok"] * 4
    counters = lab.sandbox.counters()["accounts"]
    assert [counters[each.name]["requests"] for each in lab.sandbox.accounts] == [1, 1]


def test_offline_nothing_is_asked(lab: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    lab.sandbox.reset_counters()
    code, found = doctor(lab, capsys)
    assert code == 0
    assert "signed" not in found
    assert lab.sandbox.counters()["odata_requests"] == 0


def test_a_refused_key_is_a_problem_and_a_session_at_work_is_left_alone(
    lab: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    good, other = lab.sandbox.accounts
    lab.write_accounts({"default": [good, replace(other, secret_key="canary-wrong")]})
    settings = load_settings(lab.config, {})
    settings.sessions_dir.mkdir(parents=True)
    locks = [KernelLock(settings.session_lock(good.name, slot)) for slot in range(1, good.sessions + 1)]
    assert all(lock.acquire() for lock in locks)
    lab.sandbox.reset_counters()
    code, found = doctor(lab, capsys, "--online")
    for lock in locks:
        lock.release()
    assert code == 1
    assert [each.verdict for each in found["signed"]] == ["ok", "problem"]
    assert found["signed"][0].text == f"all sessions of account {good.name} are at work; it was not asked"
    assert found["signed"][1].remedy
    assert lab.sandbox.counters()["accounts"][good.name]["requests"] == 0


def test_a_wrong_file_is_a_problem_with_its_line(lab: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    lab.accounts_file.chmod(0o644)
    code, found = doctor(lab, capsys)
    assert (code, found["accounts"][0].verdict) == (1, "problem")
    assert found["accounts"][0].remedy == f"run: chmod 600 {lab.accounts_file}"
    lab.accounts_file.unlink()
    assert "cdsed config init" in doctor(lab, capsys)[1]["accounts"][0].remedy
    lab.config.write_text("colour: blue\n", encoding="utf-8")
    code, found = doctor(lab, capsys)
    assert code == 1
    assert "colour: unknown key" in found["settings"][0].text
    assert "memory" in found, "the machine is looked at in any case"


def test_a_key_that_was_not_filled_in_is_named_in_a_whole_sentence(
    lab: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    text = lab.accounts_file.read_text(encoding="utf-8")
    lab.accounts_file.write_text(
        re.sub(r"s3_secret_key\"?: \S+", 's3_secret_key: "put it here"', text), encoding="utf-8"
    )
    assert main(["doctor", "--config", str(lab.config)]) == 1
    out = capsys.readouterr().out
    assert "s3_secret_key should have no space in it" in out
    assert "put it here" not in out


def test_the_text_names_what_is_wrong_and_what_to_do(lab: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    lab.configure(disk={"free_bytes_min": 10**18})
    assert main(["doctor", "--config", str(lab.config)]) == 1
    out = capsys.readouterr().out
    assert f"PROBLEM  space: spools {lab.spool}: " in out
    assert "    do: make room, or lower disk.free_bytes_min\n" in out
    assert "\nok  " not in out


@pytest.fixture
def silent_url() -> Iterator[str]:
    """Yield the address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_service_that_never_answers_is_asked_once_and_given_up(
    lab: Installation, silent_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_WITHIN_S", 0.3)
    monkeypatch.setattr(signed_request, "_WITHIN_S", 0.3)
    places = {"s3_url": silent_url, "catalogue_url": silent_url, "identity_url": silent_url}
    lab.configure(services=lab.sandbox.services | places)
    begun_s = time.monotonic()
    code, found = doctor(lab, capsys, "--online")
    assert time.monotonic() - begun_s < 15
    assert code == 1
    assert [found[name][0].verdict for name in ("catalogue", "identity")] == ["problem", "problem"]
    first, second = found["signed"]
    assert (first.verdict, second.verdict) == ("problem", "remark")
    assert "was not asked" in second.text


def test_a_proxy_that_cannot_be_reached_or_understood_is_named(
    lab: Installation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.configure(services=lab.sandbox.services | {"proxy_url": "http://user:canary-proxy@127.0.0.1:9"})
    _, found = doctor(lab, capsys, "--online")
    assert "no connection to the proxy 127.0.0.1:9" in found["connection"][0].text
    assert "services.proxy_url" in found["connection"][0].remedy
    lab.configure(services=lab.sandbox.services | {"s3_url": "https://s3.example.org", "proxy_url": None})
    monkeypatch.setenv("https_proxy", "nonsense://canary-proxy")
    code, found = doctor(lab, capsys, "--online")
    assert code == 1
    assert found["settings"][0].text.startswith("$https_proxy should be")
    assert found["settings"][0].remedy == "correct this variable, or unset it"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TlsServer, Path]]:
    made = make_certificates(tmp_path_factory.mktemp("tls") / "x", "IP:127.0.0.1")
    server = TlsServer(made)
    yield server, made.authority
    server.close()


def _tls_finding(url: str, **values: object) -> Finding:
    settings = Settings.model_validate({"services": {"s3_url": url, **values}})
    return services._tls("host", url, None, settings, SYSTEM_CLOCK)


def test_a_certificate_that_is_not_trusted_is_a_problem(tls: tuple[TlsServer, Path]) -> None:
    finding = _tls_finding(tls[0].url)
    assert finding.verdict == "problem"
    assert "services.ca_file" in finding.remedy


def test_a_certificate_of_ones_own_authority_is_an_interception(tls: tuple[TlsServer, Path]) -> None:
    finding = _tls_finding(tls[0].url, ca_file=tls[1])
    assert finding.verdict == "remark"
    assert finding.text.startswith("intercepted: certificate of ca, for ")


def test_a_clock_that_is_wrong_is_noticed(tls: tuple[TlsServer, Path]) -> None:
    class Wrong(Clock):
        def utc_s(self) -> float:
            return time.time() - 600

    assert services._drift_s("Sun, 29 Nov 2026 18:00:00 GMT", 1_795_975_200.4) == 0.0
    assert services._drift_s(None, 0.0) is None
    assert services._drift_s("nonsense", 0.0) is None
    places = {"catalogue_url": tls[0].url, "ca_file": tls[1]}
    drift = list(services._catalogue(Settings.model_validate({"services": places}), Wrong()))[-1]
    assert (drift.check, drift.verdict) == ("drift", "problem")
    assert "behind" in drift.text


def test_a_service_without_an_address_is_a_problem() -> None:
    url = "https://nowhere.invalid"
    [finding] = services._connect("nowhere.invalid", url, None, Settings(), SYSTEM_CLOCK)
    assert (finding.check, finding.verdict) == ("dns", "problem")


def test_a_resolver_that_hangs_is_given_up() -> None:
    release = threading.Event()
    with pytest.raises(TimeoutError, match="no result within"):
        in_time(lambda: release.wait(30), 0.05)
    release.set()
