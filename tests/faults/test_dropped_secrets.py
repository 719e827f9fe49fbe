"""Secrets dropped by mistake: no 9 characters of a secret get into receipts, the state, a log or a screen."""

import json
from pathlib import Path

import pytest

from cdsed.inbox.receipt import REPORT_FILES
from cdsed.sandbox.names import realistic_safenames
from tests.faults.intake import lab_that_only_takes
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_PIECE = 9
_NAME, _OTHER, *_ = realistic_safenames("S1_OCN", 2, seed=701)
_PASSWORD, _PLAIN, _KEY = "pass/wordX-of-a-user", "pass word Xylophone", "3f9ac07b2e8d4415a6b0c1d2e3f40516"
_BASE64, _TOKEN = "c2VjcmV0/IHNlY3JldCBz+ZWNyZXQ==", "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9abcdef"
_SECRETS = (_PASSWORD, _PLAIN, _KEY, _BASE64, _TOKEN)
_PEM = f"-----BEGIN PRIVATE KEY-----\n{_BASE64}\n{_BASE64}\n-----END PRIVATE KEY-----\n"

# One line each; in a listing among good names they are bad lines.
_LINES = (
    f'password: "{_PASSWORD}"',
    f"password: {_PLAIN}",
    f"s3_access_key: {_KEY}",
    f"s3_secret_key: '{_BASE64}'",
    f"cdse-psswd: {_PASSWORD}",
    f"passwd: {_PASSWORD}",
    f"token: {_TOKEN}",
    f"machine cdse login me password {_PASSWORD}",
    f"AWS_SECRET_ACCESS_KEY={_BASE64}",
    f"S3_SECRET_KEY={_KEY}",
    f"https://me:{_PASSWORD}@catalogue.example.org/odata",
    f"s3://eodata/{_PASSWORD}",
    f"me,{_KEY}",
    f"me;{_PASSWORD};{_BASE64}",
    f"{_KEY}\t{_TOKEN}",
    f"  - {_TOKEN}",
    _KEY,
    _BASE64,
    _TOKEN,
    f"S1A_{_KEY} x",
    f"/eodata/{_KEY}/{_NAME},{_OTHER}",
    f"/eodata/../{_PASSWORD}/{_NAME},{_NAME}",
    f"{_PASSWORD}/../{_PLAIN}",
    f"é{_PASSWORD}",
)
_FILES = {
    "accounts.yml": f'groups:\n  default:\n    accounts:\n      me: {{login: x, password: "{_PASSWORD}"}}\n',
    "accounts-2.yml": f"accounts:\n- login: me\n  password: |\n    {_PLAIN}\n  s3_access_key: {_KEY}\n",
    "localconfig.yml": f"logins:\n  me:\n    cdse-login: me\n    cdse-psswd: {_PASSWORD}\n",
    "netrc": f"machine cdse\nlogin me\npassword {_PASSWORD}\n",
    "env": f"AWS_ACCESS_KEY_ID={_KEY}\nAWS_SECRET_ACCESS_KEY={_BASE64}\nS3_SECRET_KEY={_KEY}\n",
    "rclone.conf": f"[cdse]\ntype = s3\naccess_key_id = {_KEY}\nsecret_access_key = {_BASE64}\n",
    "boto": f"aws_access_key_id = {_KEY}\naws_secret_access_key = {_BASE64}\n",
    "key.pem": _PEM,
    "key": f"{_KEY}\n",
    "base64": f"{_BASE64}\n",
    "token.json": json.dumps({"access_token": _TOKEN, "refresh_token": _KEY}),
    "name.json": json.dumps({"Name": _PASSWORD, "Id": _KEY, "S3Path": _PLAIN}),
    "value.json": json.dumps({"value": [{"Name": _PASSWORD, "Id": _KEY}]}),
    "broken.json": f'{{"password": "{_PASSWORD}", {_KEY}',
    "page.html": f"<!DOCTYPE html><html><body>{_PASSWORD} {_NAME}</body></html>\n",
    "table.csv": f"login,password\nme,{_PASSWORD}\n",
    "names.csv": f"id,name,password\n1,{_KEY},{_PASSWORD}\n",
    "id.csv": f"id;{_PASSWORD}\n",
    "options.txt": f"# cdsed: {_KEY}={_PASSWORD}\n{_NAME}\n",
}


def _pieces() -> set[bytes]:
    return {secret[first : first + _PIECE].encode() for secret in _SECRETS for first in range(len(secret) - _PIECE + 1)}


def _leaks(places: dict[str, bytes]) -> list[str]:
    pieces = _pieces()
    return [f"{place}: {piece!r}" for place, content in places.items() for piece in pieces if piece in content]


def _said_by_commands(lab: Installation, folder: Path) -> dict[str, bytes]:
    """Return what every command says that reads a listing or shows one."""
    said = {}
    for command in (["add"], ["resolve"], ["match", "--to", "GRDH"], ["missing"], ["convert"], ["convert", "--json"]):
        for name in ("mixed.txt", "accounts.yml", "value.json"):
            done = lab.command(*command, str(folder / name))
            said[f"{command} {name}"] = (done.stdout + done.stderr).encode()
    for arguments in (["status"], ["status", "--json"], ["status", "accounts.yml"], ["status", "mixed.txt", "--json"]):
        done = lab.command(*arguments)
        said[" ".join(arguments)] = (done.stdout + done.stderr).encode()
    return said


def test_no_piece_of_a_secret_that_is_dropped_by_mistake_is_repeated_anywhere(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    files = {**_FILES, "mixed.txt": "\n".join([_NAME, *_LINES, _OTHER]) + "\n"}
    for name, content in files.items():
        (own / name).write_text(content, encoding="utf-8")
    with SandboxProcess() as sandbox:
        lab = lab_that_only_takes(tmp_path / "lab", sandbox, log_level="DEBUG")
        with DaemonProcess(lab) as daemon:
            daemon.until_at_work()
            for name, content in files.items():
                lab.drop(name, [content.removesuffix("\n")])
            wait_until(
                "all are refused but the listing",
                lambda: len(list((lab.inbox / ".rejected").glob("*.receipt.txt"))) == len(_FILES),
                daemon=daemon,
            )
            wait_until("the listing is taken", lambda: lab.receipt("mixed.txt"), daemon=daemon)
            places = _said_by_commands(lab, own)
    receipt = lab.receipt("mixed.txt")
    assert receipt is not None
    counts = receipt["counts"]
    assert counts["accepted"] == 2
    assert counts["rejected"] + counts["ignored"] == len(_LINES)  # a bracket alone is ignored
    dropped = {
        path for path in lab.inbox.rglob("*") if not path.name.endswith(REPORT_FILES)
    }  # as they are; `cdsed add` copies
    kept = [path for path in lab.root.rglob("*") if path.is_file() and path not in dropped]
    assert any(path.suffix == ".db" or "sqlite" in path.name for path in kept), sorted(map(str, kept))
    assert _leaks(places | {str(path): path.read_bytes() for path in kept}) == []
    reported = {path.name: path.read_text("utf-8") for path in (lab.inbox / ".rejected").glob("*.receipt.txt")}
    reasons = ("does not look like a listing", "JSON", "header", "unknown option")
    assert [name for name, text in reported.items() if not any(reason in text for reason in reasons)] == []


@pytest.mark.parametrize("command", ["check", "run"])
def test_neither_check_nor_run_show_a_secret_in_place_of_a_name(tmp_path: Path, command: str) -> None:
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path / "lab", sandbox)
    lab.accounts_file.write_text(
        f"groups:\n  default:\n    accounts:\n      {_KEY}: {{password: x}}\n      '{_PASSWORD}': {{login: y}}\n"
        f"      a: {{login: z, {_KEY}: 1, '{_PLAIN}': 2, s3_key_expires: {_KEY}}}\n      b: '{_BASE64}'\n",
        encoding="utf-8",
    )
    done = lab.command("config", "check") if command == "check" else lab.command("run")
    assert done.returncode == 78
    assert "accounts.***.login: is missing" in done.stderr
    assert _leaks({"said": (done.stdout + done.stderr).encode()}) == []
