"""`make fresh-machines`: the two commands of the README on machines without cdsed, one line each.

Each Debian is a tree of its own (debootstrap), without git and strace; each further Python is one of this machine,
named in ``CDSED_PYTHONS`` (paths, separated by colons), with several versions of pip. Arguments choose rows by parts of
their names; with ``CDSED_WHOLE=1`` every row runs all tests, not only some, and with ``CDSED_TESTS`` those named there.
What each printed is kept beside the trees, in ``build/machines/*.log``.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.machine import trees

FEW_TESTS = "tests/unit/store tests/packaging/test_lock.py"
DEBIANS = {"debian-12": "bookworm", "debian-13": "trixie", "debian-sid": "sid"}
PIPS = {"3.11": ("22.3", "23.2.1", "newest"), "3.12": ("23.2.1", "newest")}
"""The oldest pip that runs on a Python, one between, and the newest; each Debian has its own."""
LONGEST_S = 5400.0
ORDINARY = 1000

# A Python whose virtual environments get a certain pip, as older and newer machines have it.
WITH_PIP = """#!/bin/sh
"{python}" "$@" || exit
case "$*" in *"-m venv"*) for directory; do :; done; "$directory/bin/python" -m pip install --quiet {pip};; esac
"""

# What a user does, in a path with a space for one who is not root; the last lines are read by `_reported`.
TWO_COMMANDS = """
cd "{checkout}"
make demo {variables} > demo.log 2>&1 || {{ tail -n 30 demo.log; echo "result: make demo fails"; exit 0; }}
.venv/bin/python -c 'import importlib.util as u; assert u.find_spec("pytest") is None' || echo "result: demo has pytest"
echo "python: $(.venv/bin/python --version | cut -d" " -f2)"
echo "pip: $(.venv/bin/python -m pip --version | cut -d" " -f2)"
make test {variables} > test.log 2>&1 || {{ grep -E '^(FAILED|ERROR)' test.log; tail -n 30 test.log; }}
echo "result: $(tail -n 400 test.log | grep -E '[0-9]+ (passed|failed|error).* in ' | tail -n 1 | tr -d =)"
"""


@dataclass(frozen=True)
class Row:
    """One machine: a Debian or a Python of this machine, and its user.

    Attributes
    ----------
    suite
        Of Debian; empty: this machine.
    python, pip
        Path of the Python and version of pip; empty: those that are there.
    ordinary
        An ordinary user without sudo, with ``LC_ALL=C``, a home that is read-only, in a path with a space; else root.
    whole
        All tests, not only some.
    """

    name: str
    suite: str = ""
    python: str = ""
    pip: str = ""
    ordinary: bool = False
    whole: bool = False


def rows() -> Iterator[Row]:
    """Give every machine."""
    everything = os.environ.get("CDSED_WHOLE") == "1"
    for name, suite in DEBIANS.items():
        yield Row(f"{name} root", suite, whole=everything or name != "debian-12")
        yield Row(f"{name} user", suite, ordinary=True, whole=everything or name == "debian-12")
    for path in filter(None, os.environ.get("CDSED_PYTHONS", "").split(":")):
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        version = subprocess.run([path, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        for pip in PIPS.get(version, ("newest",)):
            yield Row(f"python-{version} pip-{pip}", python=path, pip=pip, whole=everything)


def main(chosen: list[str]) -> int:
    """Run the rows; print one line each; return 0 when all are green, and 1 also where none is chosen."""
    wanted = [row for row in rows() if not chosen or any(part in row.name for part in chosen)]
    if not wanted:
        print(f"no machine has a name with {' or '.join(chosen)}", file=sys.stderr)
        return 1
    green = True
    print(f"{'machine':<24} {'Python':<8} {'pip':<8} {'user':<9} {'seconds':>7}  result", flush=True)
    for row in wanted:
        began = time.monotonic()
        try:
            output = _in_tree(row) if row.suite else _here(row)
        except (trees.NoTree, RuntimeError, subprocess.SubprocessError) as error:
            output = f"result: {error}"
        reported = dict(re.findall(r"^(python|pip|result): (.*)$", output, re.MULTILINE))
        result = reported.get("result", "nothing was printed").strip()
        passed = "passed" in result and not re.search("failed|error", result)
        green = green and passed
        user = "ordinary" if row.ordinary else "root" if row.suite or os.geteuid() == 0 else "this one"
        columns = (reported.get("python", "-"), reported.get("pip", "-"), user, time.monotonic() - began)
        print("{:<24} {:<8} {:<8} {:<9} {:>7.0f}  {}".format(row.name, *columns, result), flush=True)
        if not passed:
            print("    " + output.replace("\n", "\n    "), flush=True)
    return 0 if green else 1


def _script(row: Row, checkout: str, python: str = "") -> str:
    tests = os.environ.get("CDSED_TESTS") or ("" if row.whole else FEW_TESTS)
    variables = [f'PYTHON="{python}"' if python else "", f'TESTS="{tests}"']
    return TWO_COMMANDS.format(checkout=checkout, variables=" ".join(variables))


def _in_tree(row: Row) -> str:
    """Run the two commands in a copy of a Debian."""
    tree = trees.MACHINES / "fresh"
    _remove(tree)
    with trees.alone():
        base = trees.bare(row.suite)
        subprocess.run(["cp", "--archive", "--reflink=auto", base, tree], check=True, timeout=600)
    checkout = "/srv/a fresh clone" if row.ordinary else "/srv/cdsed"
    _clone(tree / checkout.lstrip("/"))
    home = tree / "srv/home"
    home.mkdir(mode=0o555)
    command = ["env", "HOME=/srv/home", "LC_ALL=C", "sh", "-c", _script(row, checkout)]
    try:
        if row.ordinary:
            trees.run_in(tree, "useradd", f"--uid={ORDINARY}", "--home-dir=/srv/home", "--no-create-home", "tester")
            trees.run_in(tree, "chown", "-R", f"{ORDINARY}:{ORDINARY}", "/srv")
            home.chmod(0o555)
            command = ["setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups", *command]
        return trees.run_in(tree, *command, timeout_s=LONGEST_S)
    finally:
        _keep_logs(row, tree / checkout.lstrip("/"))
        _remove(tree)


def _here(row: Row) -> str:
    """Run the two commands with a Python of this machine and a certain pip."""
    place = trees.MACHINES / "here"
    shutil.rmtree(place, ignore_errors=True)
    _clone(place / "cdsed")
    (place / "home").mkdir()
    python = place / "python3"
    wanted = "--upgrade pip" if row.pip == "newest" else f"pip=={row.pip}"
    python.write_text(WITH_PIP.format(python=row.python, pip=wanted), "utf-8")
    python.chmod(0o755)
    environ = {"HOME": str(place / "home"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **trees.pip_environ()}
    command = ["sh", "-c", _script(row, str(place / "cdsed"), str(python))]
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=LONGEST_S, check=False, stdin=subprocess.DEVNULL
    )
    _keep_logs(row, place / "cdsed")
    shutil.rmtree(place)
    return done.stdout + done.stderr


def _clone(place: Path) -> None:
    """Make a checkout as `git clone` does, of what is committed."""
    place.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=trees.REPOSITORY, stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "-x", "-C", place], input=archive.stdout, check=True)


def _keep_logs(row: Row, checkout: Path) -> None:
    for log in checkout.glob("*.log"):
        shutil.copyfile(log, trees.MACHINES / f"{row.name.replace(' ', '-')}-{log.name}")


def _remove(tree: Path) -> None:
    if tree.exists():
        subprocess.run(["rm", "-rf", "--one-file-system", tree], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
