"""`make install` and `make uninstall`, into a DESTDIR with a Python that the service can run."""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.lock import pinned_for, read_pins
from tests.support.building import ROOT, make, service_python


@pytest.fixture(scope="session")
def installed(sources, once) -> Path:
    """A DESTDIR in which cdsed is installed with PREFIX=/usr; no test changes it."""
    python = service_python()

    def install(place: Path) -> None:
        done = make("install", f"DESTDIR={place}", "PREFIX=/usr", f"PYTHON={python}", cwd=sources)
        assert done.returncode == 0, done.stdout + done.stderr

    return once("installed", install)


def files(top: Path) -> dict[str, bytes]:
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def program(installed: Path) -> list[str]:
    return [str(installed / "usr/lib/cdsed/bin/python3"), "-I", "-m", "cdsed"]


def environment_of(installed: Path) -> Path:
    (site,) = (installed / "usr/lib/cdsed/lib").glob("python3.*/site-packages")
    return site


def test_what_is_installed_is_what_the_lock_names_and_cdsed(installed):
    python = environment_of(installed).parent.name.removeprefix("python")
    pinned = pinned_for(read_pins((ROOT / "requirements.lock").read_text("utf-8")), python)

    frozen = subprocess.run(
        [sys.executable, "-m", "pip", "freeze", "--path", environment_of(installed)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert {line.lower().replace("_", "-") for line in frozen} == {
        *(str(pin) for pin in pinned.values()),
        "cdsed=="
        + subprocess.run([*program(installed), "--version"], capture_output=True, text=True).stdout.split()[1],
    }


def test_it_runs_and_shows_the_demo_whatever_pythonpath_says(installed, tmp_path):
    (tmp_path / "requests.py").write_text("raise SystemExit('this is not requests')")
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path)}

    shown = subprocess.run(
        [*program(installed), "demo"], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )

    assert shown.returncode == 0, shown.stderr
    assert "none differs" in shown.stdout


def test_everything_a_user_looks_for_is_laid_down(installed):
    share = installed / "usr/share"
    wanted = ["doc/cdsed/README.md", "doc/cdsed/docs/listings.md", "doc/cdsed/accounts.example.yml", "man/man1/cdsed.1"]
    wanted += ["bash-completion/completions/cdsed", "fish/vendor_completions.d/cdsed.fish"]

    assert [each for each in wanted if not (share / each).is_file()] == []
    assert list(share.glob("zsh/*/_cdsed"))
    units = [f"systemd/system/{name}.service" for name in ("cdsed", "cdsed@", "cdsed-scheduler", "cdsed-worker")]
    for name in (*units, "sysusers.d/cdsed.conf"):
        assert (installed / "usr/lib" / name).is_file()
    assert (installed / "etc/cdsed/cdsed.yml").read_bytes() == (ROOT / "etc/cdsed.yml").read_bytes()


def test_the_service_user_can_read_all_of_it_and_change_nothing(installed):
    for path in [installed, *installed.rglob("*")]:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            continue
        assert mode & stat.S_IROTH, path
        assert mode & stat.S_IXOTH or not stat.S_ISDIR(mode), path
        assert not mode & (stat.S_IWOTH | stat.S_IWGRP), path


def test_nothing_that_is_laid_down_names_the_directory_it_was_built_in(installed):
    named = [
        name
        for name, content in files(installed).items()
        if str(installed).encode() in content or str(installed.with_suffix(".new")).encode() in content
    ]

    assert named == []


def test_the_launcher_runs_the_installed_python_and_says_when_that_is_gone(installed, tmp_path):
    launcher = (installed / "usr/bin/cdsed").read_text("utf-8")
    assert "/usr/lib/cdsed/bin/python3" in launcher

    launcher = launcher.replace("/usr/lib/cdsed", str(tmp_path / "lib"))
    (tmp_path / "lib/bin").mkdir(parents=True)
    (tmp_path / "lib/bin/python3").symlink_to("/usr/bin/python3.99")
    gone = subprocess.run(["sh", "-c", launcher, "cdsed", "status"], capture_output=True, text=True)

    assert gone.returncode == 78
    gone_text = "/usr/bin/python3.99 does not exist any more, and cdsed was installed with it: install cdsed again"
    assert gone.stderr == f"cdsed: {gone_text}\n"


def test_uninstall_removes_what_was_laid_down_and_nothing_else(installed, sources, tmp_path):
    before = {"usr/bin/other": b"other", "etc/cdsed/lab.yml": b"lab", "var/lib/cdsed/cdsed.sqlite": b"state"}
    top = tmp_path / "root"
    shutil.copytree(installed, top, symlinks=True)
    for name, content in before.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content)
    (top / "etc/cdsed/accounts.yml").write_bytes(b"secret")

    removed = make("uninstall", f"DESTDIR={top}", "PREFIX=/usr", cwd=sources)

    assert removed.returncode == 0, removed.stderr
    assert "are kept." in removed.stdout
    assert files(top) == {**before, "etc/cdsed/accounts.yml": b"secret"}


def test_settings_that_were_changed_stay(installed, sources, tmp_path):
    top = tmp_path / "root"
    shutil.copytree(installed / "etc", top / "etc")
    with (top / "etc/cdsed/cdsed.yml").open("a") as settings:
        settings.write("# ours\n")

    make("uninstall", f"DESTDIR={top}", "PREFIX=/usr", cwd=sources)

    assert (top / "etc/cdsed/cdsed.yml").exists()


def test_a_failed_installation_changes_nothing(sources, tmp_path):
    python = service_python()
    top, copy = tmp_path / "root", tmp_path / "sources"
    (top / "usr/lib/cdsed").mkdir(parents=True)
    (top / "usr/lib/cdsed/old").touch()
    shutil.copytree(sources, copy)
    lock = copy / "requirements-build.lock"
    lock.write_text(re.sub("sha256:..", "sha256:00", lock.read_text("utf-8")), "utf-8")

    failed = make("install", f"DESTDIR={top}", "PREFIX=/usr", f"PYTHON={python}", cwd=copy)

    assert failed.returncode != 0
    assert "DO NOT MATCH THE HASHES" in failed.stderr
    assert files(top) == {"usr/lib/cdsed/old": b""}


@pytest.mark.parametrize("hidden", ["home", "closed"])
def test_a_python_that_the_service_cannot_run_is_refused_with_the_remedy(hidden, tmp_path, sources):
    """A directory below /tmp is hidden from the service; one closed to others is so for its user."""
    place = tmp_path if hidden == "home" else Path("/opt")
    if not os.access(place, os.W_OK):
        pytest.skip(f"{place} cannot be written")
    folder = place / f"cdsed-test-{os.getpid()}"
    folder.mkdir(mode=0o700)
    python = folder / "python3"
    shutil.copy2(os.path.realpath(sys.executable), python)
    try:
        refused = make(
            "install",
            f"DESTDIR={tmp_path}/root",
            f"PYTHON={python}",
            cwd=sources,
            PYTHONHOME=sys.base_prefix,
            LD_LIBRARY_PATH=f"{sys.base_prefix}/lib",
        )
    finally:
        shutil.rmtree(folder)

    assert refused.returncode != 0
    assert "is hidden from the service" in refused.stderr or "is closed to others" in refused.stderr
    assert "make PYTHON=/path/to/python3" in refused.stderr
    assert not (tmp_path / "root").exists()


def test_a_python_that_is_too_old_is_named_by_its_version(tmp_path):
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\necho "it is Python 3.9" >&2\nexit 1\n')
    old.chmod(0o755)

    refused = subprocess.run([ROOT / "packaging/find-python", old, "no-such-python"], capture_output=True, text=True)

    assert refused.returncode == 1
    assert f"{old}: it is Python 3.9" in refused.stderr
    assert "no-such-python: not found" in refused.stderr
