"""``cdsed config init``, ``import`` and ``schema``."""

import stat
from pathlib import Path

import pytest
import yaml

from cdsed import log
from cdsed.cli.main import main
from cdsed.config.schema import FileKind

OLD = """\
default_login: {antoine@example.org: canary-0}
logins:
  antoine@example.org: {cdse-psswd: canary-1, s3-access-key: canary-2, s3-secret: canary-3}
  bob.b@example.org: canary-4
loginsIOC:
  - Bob.B@example.org: {cdse-psswd: canary-5}
  - carol@example.org: {s3-access-key: canary-6}
URL_identity: https://identity.example.org/token
URL_download: https://zipper.example.org/%s
spools: {default: ./my_spool, b: /data/spool}
pre_spool: /data/staging
archives: {default: /data/archive}
s3_endpoint: https://s3.example.org
s3_bucket: mirror
s3_region: other
list_sar_unit_private_data: [S1E]
colour: blue
canary@7: x
"""


@pytest.fixture(autouse=True)
def _in_an_empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_secrets", set())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("CDSED_CONFIG", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def imported(root: Path, text: str, *options: str) -> int:
    (root / "localconfig.yml").write_text(text, encoding="utf-8")
    places = ("--config", str(root / "new/cdsed.yml"), "--state-dir", str(root / "state"), "--inbox", str(root / "in"))
    return main(["config", "import", str(root / "localconfig.yml"), *places, *options])


def test_a_localconfig_becomes_settings_and_accounts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert imported(tmp_path, OLD) == 0
    said = capsys.readouterr().out
    settings = yaml.safe_load((tmp_path / "new/cdsed.yml").read_text("utf-8"))
    accounts = yaml.safe_load((tmp_path / "new/accounts.yml").read_text("utf-8"))["groups"]
    assert settings["spools"] == [str(tmp_path / "my_spool"), "/data/spool"]
    assert settings["archives"] == [{"root": "/data/archive"}]
    assert (settings["pre_spool"], settings["default_group"]) == ("/data/staging", "logins")
    assert settings["services"] == {
        "s3_url": "https://s3.example.org",
        "s3_region": "other",
        "s3_bucket": "mirror",
        "identity_url": "https://identity.example.org/token",
    }
    assert accounts["logins"]["accounts"]["antoine"] == {
        "login": "antoine@example.org",
        "password": "canary-1",
        "s3_access_key": "canary-2",
        "s3_secret_key": "canary-3",
    }
    assert accounts["logins"]["accounts"]["bob-b"] == {"login": "bob.b@example.org", "password": "canary-4"}
    assert accounts["loginsioc"]["accounts"] == {"carol": {"login": "carol@example.org"}}
    for name in ("cdsed.yml", "accounts.yml"):
        assert stat.S_IMODE((tmp_path / "new" / name).stat().st_mode) == 0o600
    assert "canary" not in said
    assert "example.org: " not in said
    assert "loginsIOC.bob-b: the same login is logins.bob-b already" in said
    assert "colour: cdsed has no such setting" in said
    assert "account carol: S3 keys and password" in said
    assert main(["config", "check", "--config", str(tmp_path / "new/cdsed.yml")]) == 0


def test_files_that_exist_are_replaced_only_with_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert imported(tmp_path, OLD) == 0
    (tmp_path / "new/cdsed.yml").unlink()
    assert imported(tmp_path, OLD) == 64
    assert "accounts.yml exists; give --force to replace" in capsys.readouterr().err
    assert not (tmp_path / "new/cdsed.yml").exists(), "one of the two files was written"
    assert imported(tmp_path, OLD, "--force", "--group", "loginsIOC") == 0
    assert "default_group: loginsioc" in (tmp_path / "new/cdsed.yml").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("spools: {a: /b}\n", "it has no group of logins"),
        ("logins: {a@b.c: {cdse-psswd: 0123}}\n", "account a: cdse-psswd should be text; put it in quotes"),
        ("logins: {a@b.c: 0123}\n", "account a: cdse-psswd should be text; put it in quotes"),
        ("logins: {a@b.c: {s3-access-key: canary x, s3-secret: y}}\n", "s3_access_key: should have no space in it"),
        ("logins: {a@b.c: y}\nspools: {a: /b}\npre_spool: /b\n", "pre_spool: should not be a spool"),
        ("logins: {a@b.c: y}\nspools: {a: 5}\n", "spools should be paths of directories"),
        ("logins: {a@b.c: y}\npre_spool: 7\n", "pre_spool should be paths of directories"),
    ],
)
def test_what_cannot_be_taken_is_refused_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str
) -> None:
    assert imported(tmp_path, text) == 78
    error = capsys.readouterr().err
    assert complaint in error
    assert "canary" not in error
    assert not (tmp_path / "new").exists()


def test_what_is_not_taken_as_it_may_have_been_meant_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "logins: {a@b.c: {s3-access-key: canary}}\nspools: {a: ~/spool, b: /x/$DATA, c: null, d: /y}\n"
    assert imported(tmp_path, text) == 0
    said = capsys.readouterr().out
    assert "account a: s3-secret, without which its s3-access-key was not taken" in said
    assert "spools: '~' and '$' stand for themselves in ~/spool, /x/$DATA, as in cdsodatacli" in said
    settings = yaml.safe_load((tmp_path / "new/cdsed.yml").read_text("utf-8"))
    assert settings["spools"] == [str(tmp_path / "~/spool"), "/x/$DATA", "/y"]


def test_init_writes_the_file_that_is_missing_and_leaves_the_other_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, accounts = tmp_path / "cdsed.yml", tmp_path / "elsewhere.yml"
    text = f"state_dir: {tmp_path}/s\ninbox: {{path: {tmp_path}/i}}\nspools: [{tmp_path}/p]\n"
    config.write_text(f"{text}accounts_file: {accounts}\ndefault_group: lab\n", encoding="utf-8")
    written = config.read_text("utf-8")
    assert main(["config", "init", "--config", str(config)]) == 0
    assert f"left as it is: {config}\nwrote: {accounts}\n" in capsys.readouterr().out
    assert config.read_text("utf-8") == written
    assert list(yaml.safe_load(accounts.read_text("utf-8"))["groups"]) == ["lab"]
    assert all((tmp_path / name).is_dir() for name in "sip")
    config.unlink()
    filled = accounts.rename(tmp_path / "accounts.yml").read_text("utf-8")
    places = (f"--state-dir={tmp_path}/s", f"--inbox={tmp_path}/i", f"--spool={tmp_path}/p")
    assert main(["config", "init", "--config", str(config), *places]) == 0
    assert (config.exists(), (tmp_path / "accounts.yml").read_text("utf-8")) == (True, filled)


def test_init_writes_files_that_need_only_the_account(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "new/cdsed.yml"
    places = [f"--{name}={tmp_path}/{name}" for name in ("state-dir", "inbox", "spool", "pre-spool", "archive")]
    assert main(["config", "init", "--config", str(config), *places, "--group", "lab"]) == 0
    for name in ("state-dir", "inbox", "spool", "pre-spool"):
        assert (tmp_path / name).is_dir()
    assert not (tmp_path / "archive").exists(), "cdsed does not write there"
    text = config.read_text("utf-8")
    assert text.startswith(f"# yaml-language-server: $schema={FileKind.SETTINGS.shipped}\n")
    assert yaml.safe_load(text).keys() == {
        *("state_dir", "inbox", "spools", "pre_spool", "archives", "accounts_file", "default_group")
    }
    assert "#  requests_per_s: 2 " in text, "other keys are comments with their defaults"
    assert main(["config", "check", "--config", str(config)]) == 78
    assert "put in the key that CDSE gave you" in capsys.readouterr().err
    accounts = config.with_name("accounts.yml")
    accounts.write_text(accounts.read_text("utf-8").replace('put the access key here"', 'a"'), encoding="utf-8")
    accounts.write_text(accounts.read_text("utf-8").replace('put the secret key here"', 'b"'), encoding="utf-8")
    assert main(["config", "check", "--config", str(config)]) == 0
    assert main(["config", "init", "--config", str(config), *places]) == 64


def test_the_schema_is_printed_and_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema", "accounts"]) == 0
    assert capsys.readouterr().out == FileKind.ACCOUNTS.shipped.read_text("utf-8")
    assert main(["config", "schema", "--path"]) == 0
    assert capsys.readouterr().out == f"{FileKind.SETTINGS.shipped}\n"
