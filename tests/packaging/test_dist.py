"""The wheel and the source archive, each on its own in an empty virtual environment."""

import email
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import cdsed
from tests.packaging.documents import steps
from tests.packaging.transcript import Comparison
from tests.support.building import ROOT

# A private home and no settings: what a new user has.
CLEAN = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}


@pytest.fixture(scope="session")
def wheel(dist) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def venv(wheel, once) -> Path:
    """A virtual environment with the wheel, and the libraries of this one except those of the sandbox."""

    def make(place: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True, timeout=120)
        (site,) = place.glob("lib/python3.*/site-packages")
        here = Path(cdsed.__file__).parents[1]
        for path in map(Path, sys.path):
            if path.name == "site-packages":
                here = path
        for entry in here.iterdir():
            # cdsed itself is only linked here, by a .pth file and its metadata.
            if not entry.name.startswith(("cdsed", "_cdsed", "_editable", "odata_query", "sly", "__pycache__")):
                (site / entry.name).symlink_to(entry)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--prefix", str(place)]
        subprocess.run([*command, "--ignore-installed", str(wheel)], check=True, timeout=120)

    return once("wheel-venv", make)


def run(venv: Path, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    command = [str(venv / "bin/python"), "-m", "cdsed", *arguments]
    return subprocess.run(
        command, env={**CLEAN, **environ}, cwd=venv, capture_output=True, text=True, timeout=120, check=False
    )


def with_sandbox(venv: Path, place: Path) -> dict[str, str]:
    """Return what adds the libraries of the extra to the environment, as ``pip install 'cdsed[sandbox]'`` does."""
    import odata_query
    import sly

    for module in (odata_query, sly):
        (place / module.__name__).symlink_to(Path(module.__file__).parent)
    return {"PYTHONPATH": str(place)}


def test_the_wheel_holds_all_that_an_installation_needs(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    data = f"cdsed-{cdsed.__version__}.data/data/share"

    assert {"cdsed/py.typed", "cdsed/etc/cdsed.yml", "cdsed/etc/accounts.example.yml"} <= names
    assert {"cdsed/systemd/cdsed.service", "cdsed/systemd/cdsed@.service", "cdsed/systemd/cdsed.sysusers.conf"} <= names
    assert {f"{data}/man/man1/cdsed.1", f"{data}/bash-completion/completions/cdsed"} <= names
    assert {f"{data}/zsh/site-functions/_cdsed", f"{data}/fish/vendor_completions.d/cdsed.fish"} <= names
    assert {"cdsed/web/openapi.json", "cdsed/web/static/index.html", "cdsed/web/static/vendor/uplot/LICENSE"} <= names
    assert [name for name in names if name.startswith("tests") or "__pycache__" in name] == []
    assert sum(name.endswith(".sql") for name in names) == len(list((ROOT / "cdsed").rglob("*.sql")))


def test_its_metadata_names_the_extra_and_where_to_read_on(wheel):
    archive = zipfile.ZipFile(wheel)
    metadata = email.message_from_bytes(archive.read(f"cdsed-{cdsed.__version__}.dist-info/METADATA"))

    assert metadata.get_all("Provides-Extra") == ["dask", "sandbox", "stac", "web"]
    assert any("odata-query" in each and "extra == 'sandbox'" in each for each in metadata.get_all("Requires-Dist"))
    assert metadata.get_all("Project-URL")


def test_it_answers_without_a_checkout(venv):
    shown = run(venv, "--help")

    assert shown.returncode == 0, shown.stderr
    assert "usage: cdsed" in shown.stdout
    assert str(ROOT) not in run(venv, "version").stdout + shown.stdout


@pytest.mark.parametrize("command", ["demo", "sandbox"])
def test_without_the_extra_the_sandbox_says_in_one_line_what_is_missing(venv, command):
    said = run(venv, command)

    assert said.returncode == 1
    assert said.stderr == (
        f"cdsed: cdsed {command} needs odata-query, which is not installed: pip install 'cdsed[sandbox]'\n"
    )


def test_with_the_extra_the_demo_comes_out_as_it_has_to(venv, tmp_path):
    shown = run(venv, "demo", **with_sandbox(venv, tmp_path), TMPDIR=str(tmp_path))

    assert shown.returncode == 0, shown.stderr
    (demo,) = [step for step in steps(ROOT / "README.md") if step.command == "make demo"]
    assert Comparison().agrees(demo.shown, shown.stdout), shown.stdout


def test_it_prints_completions(venv):
    assert run(venv, "completion", "bash").stdout == (ROOT / "cdsed/completions/cdsed.bash").read_text("utf-8")


def test_the_source_archive_builds_the_same_wheel(dist, wheel, tmp_path):
    (archive,) = dist.glob("*.tar.gz")
    subprocess.run(["tar", "-xzf", archive, "-C", tmp_path], check=True)
    (top,) = tmp_path.iterdir()
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=top, check=True)

    assert set(zipfile.ZipFile(tmp_path / wheel.name).namelist()) == set(zipfile.ZipFile(wheel).namelist())
    assert (top / "Makefile").exists()
    assert (top / "requirements.lock").exists()


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man")
def test_man_finds_the_page_where_the_environment_is_on_the_path(venv):
    shown = subprocess.run(
        ["man", "--where", "cdsed"],
        env={**CLEAN, "PATH": f"{venv}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )

    assert shown.stdout.strip() == f"{venv}/share/man/man1/cdsed.1"
