import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cdsed.config.accounts import load_accounts
from cdsed.config.load import load_settings
from tests.support.daemon import Installation
from tests.support.sandbox import SandboxProcess

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def site():
    with SandboxProcess(accounts=2) as process:
        yield process


@pytest.fixture
def lab(tmp_path, site):
    lab = Installation(tmp_path, site)
    lab.write_accounts({"default": site.accounts[:1]}, keys=False)
    return lab


def _listed(lab):
    return json.loads(lab.command("keys", "list", "--json").stdout)["keys"]


def test_a_key_goes_into_a_private_file_that_fits_the_accounts_file(lab, tmp_path):
    file = tmp_path / "pair.yml"
    done = lab.command("keys", "create", "--output", str(file), "--days", "7")
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    pair = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert pair["s3_secret_key"] not in done.stdout + done.stderr
    assert [key["access_key"] for key in _listed(lab)] == [pair["s3_access_key"]]
    accounts = tmp_path / "accounts.yml"
    document = yaml.safe_load(accounts.read_text(encoding="utf-8"))
    document["groups"]["default"]["accounts"]["sandbox-1"].update(pair)
    accounts.write_text(yaml.safe_dump(document), encoding="utf-8")
    (account,) = load_accounts(load_settings(lab.config, {}), {})
    assert account.s3_keys is not None
    assert account.s3_key_expires is not None


def test_a_secret_is_shown_only_when_asked_for(lab):
    refused = lab.command("keys", "create")
    assert refused.returncode == 64
    beyond_the_calendar = lab.command("keys", "create", "--show", "--days", "99999999")
    assert (beyond_the_calendar.returncode, _listed(lab)) == (64, []), beyond_the_calendar.stderr
    shown = json.loads(lab.command("keys", "create", "--show", "--json").stdout)
    assert shown["secret_key"]
    assert [key["access_key"] for key in _listed(lab)] == [shown["access_key"]]
    assert shown["secret_key"] not in lab.command("keys", "list").stdout


def test_an_existing_file_is_not_overwritten_and_no_key_is_made(lab, tmp_path):
    file = tmp_path / "mine"
    file.write_text("precious", encoding="utf-8")
    refused = lab.command("keys", "create", "--output", str(file))
    assert refused.returncode == 64
    assert "exists" in refused.stderr
    assert file.read_text(encoding="utf-8") == "precious"
    assert _listed(lab) == []


def test_a_deleted_key_is_gone(lab):
    made = json.loads(lab.command("keys", "create", "--show", "--json").stdout)
    assert lab.command("keys", "delete", made["access_key"]).returncode == 0
    assert _listed(lab) == []


def test_deleting_a_key_that_is_none_is_exit_code_1(lab):
    missed = lab.command("keys", "delete", "NOSUCHKEY")
    assert missed.returncode == 1
    assert "cdsed keys list" in missed.stderr


def test_the_cap_leaves_no_empty_file(lab, tmp_path, site):
    site.rules(keys_max=0)
    refused = lab.command("keys", "create", "--output", str(tmp_path / "pair"))
    assert refused.returncode == 1
    assert "as many S3 keys as CDSE allows" in refused.stderr
    assert not (tmp_path / "pair").exists()


def test_with_two_accounts_one_has_to_say_which(lab, site):
    lab.write_accounts({"default": site.accounts}, keys=False)
    refused = lab.command("keys", "list")
    assert refused.returncode == 64
    assert "sandbox-1, sandbox-2" in refused.stderr
    assert lab.command("keys", "list", "--account", "sandbox-2").stdout == "no S3 keys\n"


def test_several_commands_are_one_session(lab, site):
    _listed(lab)
    sessions = site.call("GET", "identity")["sessions"]["sandbox-1"]
    _listed(lab)
    assert site.call("GET", "identity")["sessions"]["sandbox-1"] == sessions


def test_help_loads_no_library():
    command = [sys.executable, "-X", "importtime", "-m", "cdsed", "keys", "create", "--help"]
    run = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert not [line for line in run.stderr.split("\n") if line.endswith((" requests", " pydantic", " yaml"))]
