"""A canary for every secret, in a run with many failures at DEBUG level: no output contains one."""

import base64
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import yaml

from cdsed import log
from cdsed.config.secrets import Secret
from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

# One with all that is quoted in URLs, forms, JSON, YAML and shells.
_PASSWORD = "CANARY-pa ss/w+rd&é\"'\\%1"
_SEED = "CANARYSEEDCANARYSEEDCANARYSEED23"
_SETTINGS = {"transfer": {"zip_fallback": True}, "retry": {"attempts": 3, "first_delay_s": 0.2, "longest_delay_s": 0.5}}
_BUG = '''
"""Loaded by every Python of the daemon: a bug that quotes a secret, where products are listed."""
import sys
if {"run", "download"} & {*sys.orig_argv}:  # workers are forked from the daemon
    from cdsed.transfer import product
    listed = product.list_product
    def list_product(connection, account, location):
        if location.key.endswith("{name}"):
            keys = connection.credentials
            raise RuntimeError("wrong\\nkey " + keys.secret_key.reveal() + keys.access_key.reveal())
        return listed(connection, account, location)
    product.list_product = list_product
'''


def _accounts() -> list[SandboxAccount]:
    def account(name: str, **more: str) -> SandboxAccount:
        return SandboxAccount(name, f"CANARY-ACCESS-{name}", f"CANARY-SECRET-{name}", 2, None, None, None, **more)

    return [
        account("good"),
        account("wrongpair"),
        account("temporary", password=_PASSWORD),
        account("refused", password="CANARY-the-true-one"),
    ]


def _write_accounts(lab: Installation, accounts: list[SandboxAccount]) -> list[str]:
    """Write the accounts file, as wrong as its names say; return every secret in it."""
    good, pair, temporary, refused = accounts
    entries = {
        good.name: {"s3_access_key": good.access_key, "s3_secret_key": good.secret_key},
        pair.name: {"s3_access_key": pair.access_key, "s3_secret_key": "CANARY-SECRET-that-does-not-fit"},
        temporary.name: {"password": temporary.password},
        refused.name: {"password": "CANARY-wrong-guess", "totp": _SEED},
    }
    document = {
        "groups": {
            "default": {"accounts": {name: {"login": f"{name}@example.org", **entries[name]} for name in entries}}
        }
    }
    (lab.root / "accounts.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return [value for entry in entries.values() for value in entry.values()]


def _spellings(secret: str) -> Iterator[bytes]:
    yield secret.encode()
    yield quote(secret, safe="").encode()
    yield quote_plus(secret).encode()
    yield json.dumps(secret)[1:-1].encode()
    yield repr(secret)[1:-1].encode()
    yield base64.b64encode(secret.encode())


def _reported(lab: Installation, names: list[str]) -> dict[str, bytes]:
    """Return what every command says, those that fail included."""
    broken = lab.root / "broken.yml"
    text = (lab.root / "accounts.yml").read_text(encoding="utf-8")
    (lab.root / "broken-accounts.yml").write_text(text.replace("password:", "pasword:") + "\n  - [\n", encoding="utf-8")
    (lab.root / "odd-accounts.yml").write_text(text.replace("password: ", "pasword: "), encoding="utf-8")
    reported = {}
    for kind in ("broken", "odd"):
        (lab.root / f"{kind}-accounts.yml").chmod(0o600)
        settings = lab.config.read_text(encoding="utf-8").replace("/accounts.yml", f"/{kind}-accounts.yml")
        broken.write_text(settings, encoding="utf-8")
        for command in (("config", "check"), ("run",)):
            done = lab.command(*command, "--config", str(broken))
            assert done.returncode != 0
            reported[f"{kind} {command}"] = (done.stdout + done.stderr).encode()
    for command in (["config", "check"], ["status"], ["status", "list.txt"], *(["status", name] for name in names)):
        for form in ([], ["--json"]) if command[0] == "status" else ([],):
            done = lab.command(*command, *form)
            reported[" ".join([*command, *form])] = (done.stdout + done.stderr).encode()
    return reported


def _processes(daemon: DaemonProcess) -> dict[str, bytes]:
    found = {}
    for pid in (daemon.pid, *daemon.worker_pids()):
        for what in ("cmdline", "environ"):
            found[f"/proc/{pid}/{what}"] = Path(f"/proc/{pid}/{what}").read_bytes()
    return found


def _core_limits(daemon: DaemonProcess) -> set[tuple[str, ...]]:
    pids = [daemon.pid, *daemon.worker_pids()]
    lines = [Path(f"/proc/{pid}/limits").read_text(encoding="ascii").split("\n") for pid in pids]
    return {tuple(line.split()[4:6]) for limits in lines for line in limits if line.startswith("Max core file size")}


def _leaks(secrets: list[str], places: dict[str, bytes]) -> list[str]:
    return [
        f"{place}: {secret!r}"
        for secret in secrets
        for spelling in set(_spellings(secret))
        for place, content in places.items()
        if spelling in content
    ]


def test_no_secret_turns_up_anywhere_after_a_run_full_of_failures(tmp_path: Path) -> None:
    names = realistic_safenames("S1_GRD", 6, seed=55)
    accounts = _accounts()
    with SandboxProcess(accounts) as sandbox:
        lab = Installation(tmp_path / "lab", sandbox, accounts=accounts, log_level="DEBUG", **_SETTINGS)
        secrets = _write_accounts(lab, accounts)
        paths = sandbox.add_products(*({"safename": n, "size_bytes": 400_000, "zipped": True} for n in names))
        for number, kind in enumerate(
            ("forbidden", "throttle", "internal_error", "reset", "short_body", "wrong_bytes")
        ):
            sandbox.fault(kind=kind, operation="get", times=2, skip=number)
        for operation in ("odata", "keys", "identity", "zip"):
            sandbox.fault(kind="internal_error", operation=operation, times=1)
        sandbox.fault(kind="forbidden", operation="list", key=paths[names[1]].removeprefix("/eodata/"))
        hook = tmp_path / "hook"
        hook.mkdir()
        (hook / "sitecustomize.py").write_text(_BUG.replace("{name}", names[0]), encoding="utf-8")
        environ = {"PYTHONPATH": os.pathsep.join([str(hook), str(Path(log.__file__).parents[1])])}
        with DaemonProcess(lab, environ=environ) as daemon:
            ledger = lab.state / "temporary_keys.json"
            wait_until(
                "a temporary key is there",
                lambda: ledger.exists() and '"works": true' in ledger.read_text(encoding="utf-8"),
                daemon=daemon,
            )
            lab.drop("list.txt", [*names, "not a name"])
            (lab.inbox / "accounts.yml").write_bytes((lab.root / "accounts.yml").read_bytes())  # by mistake
            wait_until("a bug", lambda: "an error in cdsed itself" in daemon.log(), daemon=daemon)
            wait_until("all is finished", lambda: lab.report("list.txt"), 90, daemon=daemon)
            (key,) = json.loads(ledger.read_text(encoding="utf-8"))
            secrets += [key["secret_key"], key["access_key"]]
            files = list((lab.state / "run").glob("token.*.json"))
            for file in files:
                grant = json.loads(file.read_text(encoding="utf-8"))
                secrets += [grant[token] for token in ("access_token", "refresh_token") if grant[token]]
            private = {ledger, *files}
            assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
            assert _core_limits(daemon) == {("0", "0")}
            places = _processes(daemon) | _reported(lab, names[:1])
        log_text = daemon.log()
    for sign in ("secret key does not fit", "refuses its login", "Traceback", "too many requests", "came as a zip"):
        assert sign in log_text, f"the run was to be full of failures, but there is no {sign!r}"
    kept = [path for path in lab.root.rglob("*") if path.is_file() and path not in private]
    places |= {str(path): path.read_bytes() for path in kept if not path.name.endswith("accounts.yml")}
    assert len(secrets) >= 10
    assert _leaks(secrets, places) == []
    assert "Authorization" not in log_text
    assert "X-Amz-" not in log_text


def test_a_secret_shows_itself_in_no_form(capsys: pytest.CaptureFixture[str]) -> None:
    secret = Secret("CANARY-itself")
    assert "CANARY" not in f"{secret} {secret!r} {secret!s:>20} {[secret]} {{'a': secret}}"
    with pytest.raises(TypeError):
        json.dumps(secret)


@pytest.mark.parametrize("text", ["a\x1b[2Jb", "a\rb", "a\x00b", "a\u2028b", "a\x9bb"])
def test_what_a_service_says_cannot_move_the_cursor_nor_begin_a_line(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        log.setup("x", "INFO")
        logging.getLogger("cdsed.x").warning("it says %s\nand %s", text, "2026-01-01T00:00:00Z INFO all is well")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    reported = capsys.readouterr().err
    first, second = reported.rstrip("\n").split("\n")
    assert reported.replace("\n", "").isprintable()
    assert second.startswith("    ")
    assert first.endswith("b")


def test_secrets_are_hidden_however_they_are_spelt_and_tokens_by_their_looks() -> None:
    secret = 'CANARY "of/a &+secret'
    log.hide(secret)
    log.hide("CANARY")
    reported = f"a={secret} b={quote_plus(secret)} c={json.dumps(secret)}"
    assert "of" not in log.redact(reported)
    token = ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"RS256"}', b"{}", b"x" * 9)
    )
    assert token not in log.redact(f"refused {token}")


def test_the_log_level_of_the_libraries_never_falls_below_warning() -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        log.setup("x", "DEBUG")
        for library in ("botocore.auth", "botocore.endpoint", "boto3.resources", "urllib3.connectionpool"):
            assert not logging.getLogger(library).isEnabledFor(logging.INFO)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
