"""Every library has a newer release than the lock names, and pip prefers newer ones. The locked ones are installed."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.lock import FILES, ROOT, pinned_for, read_pins
from tests.support.building import make

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def pins_of(*whats: str) -> set[str]:
    texts = [(ROOT / FILES[what]).read_text("utf-8") for what in whats]
    return {str(pin) for text in texts for pin in pinned_for(read_pins(text), HERE).values()}


def newer_release(name: str, folder: Path) -> None:
    """Write a wheel of version 9999, which pip would take before any real one."""
    project = name.replace("-", "_")
    with zipfile.ZipFile(folder / f"{project}-9999-py3-none-any.whl", "w") as wheel:
        info = f"{project}-9999.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 9999\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def newer_index(tmp_path: Path) -> dict[str, str]:
    """The environment in which pip also looks at the newer releases."""
    folder = tmp_path / "newer"
    folder.mkdir()
    for name in {pin.partition("==")[0] for pin in pins_of(*FILES)} | {"pip", "wheel"}:
        newer_release(name, folder)
    return {"PIP_FIND_LINKS": f"{os.environ.get('PIP_FIND_LINKS', '')} {folder}".strip()}


@pytest.fixture
def checkout(sources, tmp_path) -> Iterator[Path]:
    """A checkout without an environment, in a directory with a space in its name."""
    place = tmp_path / "a fresh clone"
    subprocess.run(["cp", "-r", sources, place], check=True)
    yield place
    subprocess.run(["rm", "-rf", place], check=True)


def frozen(checkout: Path) -> set[str]:
    command = [checkout / ".venv/bin/python", "-m", "pip", "freeze", "--all", "--exclude-editable"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.lower().replace("_", "-").split()
    bundled = {"pip", "setuptools"} - {pin.partition("==")[0] for pin in pins_of(*FILES)}
    return {line for line in lines if line.partition("==")[0] not in bundled}


@pytest.mark.soak  # two minutes; what it shows of the locks, test_lock.py shows offline
@pytest.mark.timeout(600)
def test_the_two_commands_install_what_the_locks_name_and_demo_no_test_tool(checkout, newer_index):
    control = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(checkout / "dist"), "tenacity"]
    downloaded = subprocess.run(control, env={**os.environ, **newer_index}, capture_output=True, text=True)
    if downloaded.returncode and "9999" not in downloaded.stdout:
        pytest.skip(f"no package index answers: {downloaded.stderr}")
    assert (checkout / "dist/tenacity-9999-py3-none-any.whl").exists(), "pip would prefer the newer ones"

    ran = make(".venv/.installed", cwd=checkout, **newer_index)
    assert ran.returncode == 0, ran.stderr
    assert frozen(checkout) == pins_of("run", "build")

    ran = make(".venv/.tests-installed", cwd=checkout, **newer_index)
    assert ran.returncode == 0, ran.stderr
    assert frozen(checkout) == pins_of(*FILES)
