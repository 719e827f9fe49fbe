"""The units as systemd itself judges them."""

import configparser
import os
import shlex
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from cdsed.config.settings import Settings
from cdsed.errors import ExitCode

UNITS = Path(__file__).parents[2] / "systemd"
# As installed: a template is only verified as one of its instances.
NAMES = {"cdsed.service": "cdsed.service", "cdsed@.service": "cdsed@lops.service"}
OF_DASK = ("cdsed-scheduler.service", "cdsed-worker.service")


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not on this machine")


@pytest.fixture(params=[*NAMES, *OF_DASK])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A unit as shipped, but with a program that exists on this machine."""
    program = tmp_path / "cdsed"
    program.touch(0o755)
    text = (UNITS / request.param).read_text("utf-8")
    for installed in ("/usr/bin/cdsed", "/usr/lib/cdsed/bin/python3"):
        text = text.replace(installed, str(program))
    name = NAMES.get(request.param, request.param)
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes users and gives directories to them")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a machine with nothing in it."""
    (tmp_path / "etc").mkdir()
    return tmp_path


def read(name: str) -> configparser.ConfigParser:
    # `strict` would refuse SystemCallFilter=, which systemd adds up
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNITS / name, encoding="utf-8")
    return parser


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_reads_an_environment_that_may_be_missing_and_shows_none_of_its_own(name):
    service = read(name)["Service"]

    assert service["EnvironmentFile"] == "-/etc/cdsed/environment"
    assert "Environment" not in service


@needs("systemd-analyze")
def test_systemd_has_nothing_to_say_about_a_unit(unit):
    verified = run("systemd-analyze", "verify", "--man=no", unit)

    # systemd only warns of an unknown value: the exit code does not show it.
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


@needs("systemd-analyze")
def test_a_wrong_unit_would_be_noticed(unit):
    unit.write_text(unit.read_text("utf-8").replace("[Service]", "[Service]\nType=notify-relaod"), encoding="utf-8")

    assert run("systemd-analyze", "verify", "--man=no", unit).stderr


@needs("systemd-analyze")
def test_a_unit_is_exposed_at_1_1_or_better(unit):
    judged = run("systemd-analyze", "security", "--offline=yes", "--threshold=11", "--no-pager", unit)

    assert judged.returncode == 0, judged.stdout.rstrip().rsplit("\n", 1)[-1]


@as_root
@needs("systemd-sysusers")
def test_sysusers_makes_the_user_that_the_units_run_as(root):
    made = run("systemd-sysusers", f"--root={root}", UNITS / "cdsed.sysusers.conf")

    assert made.returncode == 0, made.stderr
    passwd = (root / "etc" / "passwd").read_text("utf-8")
    assert any(line.startswith("cdsed:") and ":/var/lib/cdsed:" in line for line in passwd.split("\n"))
    assert {read(name)["Service"]["User"] for name in (*NAMES, *OF_DASK)} == {"cdsed"}


@as_root
@needs("systemd-sysusers")
@needs("systemd-tmpfiles")
def test_tmpfiles_makes_the_directories_that_the_settings_name(root):
    run("systemd-sysusers", f"--root={root}", UNITS / "cdsed.sysusers.conf")
    settings = Settings()
    accounts = root / settings.accounts_file.relative_to("/")
    accounts.parent.mkdir()
    accounts.touch(0o644)

    made = run("systemd-tmpfiles", "--create", f"--root={root}", UNITS / "cdsed.tmpfiles.conf")

    assert (made.returncode, made.stderr) == (0, "")
    for path in (settings.state_dir, settings.inbox.path, *settings.spools):
        assert (root / path.relative_to("/")).is_dir()
    assert stat.S_IMODE(accounts.stat().st_mode) == 0o600
    assert stat.S_IMODE((root / "var/lib/cdsed/inbox").stat().st_mode) == 0o2770


@as_root
@needs("systemd-sysusers")
@needs("systemd-tmpfiles")
@pytest.mark.parametrize(("name", "suffix"), [("cdsed.service", ""), ("cdsed@.service", "-lops")])
def test_a_unit_makes_the_directories_of_its_daemon_as_the_group_needs_them(root, name, suffix):
    run("systemd-sysusers", f"--root={root}", UNITS / "cdsed.sysusers.conf")
    line = read(name)["Service"]["ExecStartPre"].replace("%i", "lops")
    prefix, shell, option, script = shlex.split(line.replace("-+/", "-+ /", 1))
    assert (prefix, shell, option) == ("-+", "/bin/sh", "-c")

    for _ in range(2):
        done = run("sh", "-c", script.replace("systemd-tmpfiles", f"systemd-tmpfiles --root={root}"))
        assert (done.returncode, done.stderr) == (0, "")

    modes = {
        place: stat.S_IMODE((root / place).stat().st_mode)
        for place in (f"var/lib/cdsed{suffix}", f"var/lib/cdsed{suffix}/inbox", f"var/spool/cdsed{suffix}")
    }
    assert list(modes.values()) == [0o750, 0o2770, 0o750]
    assert 0 not in {(root / place).stat().st_uid for place in modes}


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_agrees_with_the_settings_and_the_exit_codes(name):
    service = read(name)["Service"]

    assert float(service["TimeoutStopSec"]) > Settings().process.stop_within_s
    assert float(service["TimeoutStartSec"]) >= Settings().process.ready_within_s
    refused = {ExitCode.USAGE, ExitCode.CONFIG}  # a directory may be absent until its disk is mounted
    assert {int(code) for code in service["RestartPreventExitStatus"].split()} == refused
    assert service["LoadCredential"].startswith("accounts.yml:/etc/cdsed/")


@pytest.mark.parametrize("name", NAMES)
def test_systemd_never_stops_trying_while_the_state_cannot_be_used(name):
    assert read(name)["Unit"]["StartLimitIntervalSec"] == "0"  # a start on a full disk fails within a second


def test_the_template_differs_from_the_unit_in_names_only():
    def directives(name: str) -> list[str]:
        lines = (UNITS / name).read_text("utf-8").split("\n")
        return [line for line in lines if line and not line.startswith("#")]

    instance = [
        line.replace("%i.accounts.yml", "accounts.yml")
        .replace("%i.yml", "cdsed.yml")
        .replace(", %i", "")
        .replace("-%i", "")
        for line in directives("cdsed@.service")
    ]
    assert instance == directives("cdsed.service")


@pytest.mark.parametrize("name", OF_DASK)
def test_what_dask_runs_may_do_no_more_than_the_daemon(name):
    def hardening(of: str) -> dict[str, str]:
        kinds = ("Protect", "Private", "Restrict", "SystemCall", "Capability", "Ambient", "NoNew", "Lock", "MemoryDeny")
        return {key: value for key, value in read(of)["Service"].items() if key.startswith(kinds)}

    assert hardening(name) == hardening("cdsed.service")
    assert read(name)["Service"]["LimitCORE"] == "0"


@pytest.mark.parametrize("name", OF_DASK)
def test_what_dask_runs_serves_no_pages_and_uses_the_certificate(name):
    service, role = read(name)["Service"], name.partition("-")[2].removesuffix(".service")
    words = shlex.split(service["ExecStart"])
    assert f"DASK_DISTRIBUTED__{role.upper()}__HTTP__ROUTES=[]" in service["Environment"].split()
    assert words[1:4] == ["-I", "-m", f"distributed.cli.dask_{role}"]
    assert "--no-dashboard" in words
    for option, file in (("ca-file", "cert"), ("cert", "cert"), ("key", "key")):
        assert words[words.index(f"--tls-{option}") + 1] == f"/etc/cdsed/engine/{file}.pem"
