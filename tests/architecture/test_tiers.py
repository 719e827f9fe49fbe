"""A run of tests that tests nothing fails, however it is started; so does a tier of the Makefile."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

_CONFTEST = 'pytest_plugins = ["tests.support.fixtures", "tests.support.tiers"]\n'
_SKIPPED = "import pytest\n@pytest.mark.skip\ndef test_a(): pass\n"
_PASSED = "def test_b(): pass\n"
_BROKEN = "import no_such_module\ndef test_c(): pass\n"
_XFAILED = "import pytest\n@pytest.mark.xfail\ndef test_d(): assert 0\n"


def _run(folder: Path, *options: str, **files: str) -> subprocess.CompletedProcess[str]:
    """Run pytest as the Makefile does, with this checkout's settings, on some files of tests."""
    (folder / "conftest.py").write_text(_CONFTEST, encoding="utf-8")
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder)]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", "-o", f"pythonpath={ROOT}", *options, str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


_TWO = ("--numprocesses", "2")


@pytest.mark.parametrize(
    ("options", "files", "code"),
    [
        pytest.param((), {}, 5, id="nothing-collected"),
        pytest.param(_TWO, {}, 5, id="nothing-collected-by-workers"),
        pytest.param((*_TWO, "-m", "soak"), {"b": _PASSED}, 5, id="nothing-selected-by-marker"),
        pytest.param(("-k", "misspelt"), {"b": _PASSED}, 5, id="nothing-selected-by-name"),
        pytest.param((), {"a": _SKIPPED}, 5, id="all-skipped"),
        pytest.param(_TWO, {"a": _SKIPPED}, 5, id="all-skipped-by-workers"),
        pytest.param(_TWO, {"a": _SKIPPED, "b": _PASSED}, 0, id="one-passed"),
        pytest.param((), {"a": _SKIPPED, "d": _XFAILED}, 0, id="one-failed-as-expected"),
    ],
)
def test_a_run_that_tests_nothing_fails(tmp_path, options, files, code):
    done = _run(tmp_path, *options, **files)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("NOTHING WAS TESTED: all 1 tests were skipped" in done.stdout) is (code == 5 and set(files) == {"a"})


@pytest.mark.parametrize("workers", [(), _TWO], ids=["alone", "workers"])
def test_a_file_that_cannot_be_collected_fails_the_run(tmp_path, workers):
    done = _run(tmp_path, *workers, b=_PASSED, c=_BROKEN)
    assert done.returncode in (1, 2), done.stdout
    assert "no_such_module" in done.stdout


@pytest.mark.parametrize("options", [("-m", "saok"), ("tests/no_such_file.py",)])
def test_a_misspelt_marker_or_path_fails_in_this_checkout(options):
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", *options]
    if "-m" in options:
        command.append("tests/architecture/test_links.py")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (4, 5), done.stdout


def _recipes() -> dict[str, str]:
    """Return the commands of each target of the Makefile."""
    text = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
    return {match[1]: match[2] for match in re.finditer(r"^([a-z-]+):.*\n((?:\t.*\n)+)", text, re.MULTILINE)}


def test_no_target_that_tests_forgives_a_failure():
    tiers = {name: recipe for name, recipe in _recipes().items() if "pytest" in recipe or "-m tests." in recipe}
    assert {"test", "check", "coverage", "bench", "soak", "fresh-machines"} <= set(tiers)
    forgiving = re.compile(r"^\t@?-|\|\| *(?:true|:)|; *true", re.MULTILINE)
    assert [name for name, recipe in tiers.items() if forgiving.search(recipe)] == []


def test_coverage_prints_its_table_and_still_fails_when_a_test_fails(tmp_path):
    recipe = _recipes()["coverage"].replace("$(BIN)/", f"{tmp_path}/")
    (tmp_path / "Makefile").write_text(f".PHONY: coverage\ncoverage:\n{recipe}", encoding="utf-8")
    for name, text in {"coverage": '[ "$1" != run ]', "python": "echo the table"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(["make", "-C", tmp_path, "coverage"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "the table" in done.stdout


def test_the_soak_has_tests():
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-m", "soak", "tests/soak"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tests/soak/test_soak.py::" in done.stdout
