"""The lock files: what they pin, and what is wrong with them. `python -m tests.packaging.lock` writes the record.

The record (``lock.json``) keeps what the index says of each pinned file: the requirements it states, and its hash. So
a test can judge the lock for every supported Python without the network.
"""

import functools
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).with_name("lock.json")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = ("x86_64", "aarch64")
SOURCE_ONLY = frozenset({"sly"})
"""What the index has as a source archive only; it is built with the pinned setuptools, not with the newest."""
FILES = {"run": "requirements.lock", "build": "requirements-build.lock", "test": "requirements-test.lock"}

_ENTRY = re.compile(
    r"^(?P<requirement>[^\s#\\][^\\\n]*?)\s*\\?\n(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}.*\n)*)", re.MULTILINE
)


@dataclass(frozen=True)
class Pin:
    """One line of a lock file: the requirement, and the hashes of the files that may stand for it."""

    requirement: Requirement
    hashes: frozenset[str]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        (specifier,) = self.requirement.specifier
        assert specifier.operator == "==", f"{self.requirement} pins no version"
        return specifier.version

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


def read_pins(text: str) -> list[Pin]:
    """Return what a lock file pins."""
    return [
        Pin(Requirement(entry["requirement"]), frozenset(re.findall("sha256:([0-9a-f]{64})", entry["hashes"])))
        for entry in _ENTRY.finditer(text)
    ]


def environment(python: str, machine: str = "x86_64") -> dict[str, str]:
    """Return the values that markers are evaluated with, for a supported Python on Linux."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "6.1",
        "platform_system": "Linux",
        "platform_version": "1",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }


def pinned_for(pins: Sequence[Pin], python: str) -> dict[str, Pin]:
    """Return the pins in force for a Python, by name."""
    marked = environment(python)
    return {pin.name: pin for pin in pins if pin.requirement.marker is None or pin.requirement.marker.evaluate(marked)}


def wanted_by_project(what: str, project: Mapping[str, Any]) -> list[Requirement]:
    """Return what ``pyproject.toml`` asks for: to run (sandbox included), to build, or to test."""
    if what != "run":
        return [Requirement(text) for text in project["dependency-groups"][what]]
    tables = project["project"]
    texts = [*tables["dependencies"], *(text for extra in tables["optional-dependencies"].values() for text in extra)]
    return [Requirement(text) for text in texts]


def problems(
    pins: Sequence[Pin], wanted: Sequence[Requirement], record: Mapping[str, Any], python: str
) -> Iterator[str]:
    """Say what is missing, unsatisfied, or not needed, when `wanted` is installed from `pins` alone."""
    pinned = pinned_for(pins, python)
    marked = environment(python)
    to_do = [("pyproject.toml", each, "") for each in wanted]
    done: set[tuple[str, str]] = set()
    while to_do:
        asker, requirement, extra = to_do.pop()
        if requirement.marker and not requirement.marker.evaluate({**marked, "extra": extra}):
            continue
        pin = pinned.get(canonicalize_name(requirement.name))
        if pin is None:
            yield f"Python {python}: {asker} requires {requirement}, which is not pinned"
            continue
        if not requirement.specifier.contains(pin.version, prereleases=True):
            yield f"Python {python}: {asker} requires {requirement}, but {pin} is pinned"
        for each in {"", *requirement.extras} - {extra for name, extra in done if name == pin.name}:
            done.add((pin.name, each))
            to_do += [(str(pin), _parsed(text), each) for text in record[str(pin)]["requires"]]
    yield from (f"Python {python}: nothing requires {pinned[name]}" for name in pinned.keys() - {n for n, _ in done})


@functools.cache  # moto alone states 200, and a test reads them once for each pin
def _parsed(text: str) -> Requirement:
    return Requirement(text)


def _index_report(pins: Sequence[Pin], *options: str) -> list[dict[str, Any]]:
    """Ask the index which file of each pin would be installed with these options of pip."""
    with tempfile.TemporaryDirectory() as directory:
        exact, report = Path(directory, "pins.txt"), Path(directory, "report.json")
        exact.write_text("".join(f"{pin}\n" for pin in pins), "utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
        command += [*options, f"--target={directory}/none", f"--report={report}", "-r", str(exact)]
        subprocess.run(command, check=True)
        installs: list[dict[str, Any]] = json.loads(report.read_text("utf-8"))["install"]
        return installs


def _wheels_of(python: str, machine: str) -> tuple[str, ...]:
    """Return the options that let pip see the wheels for a Python on a machine with glibc 2.34 or newer."""
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in (34, 31, 28, 27, 26, 24, 17, 12, 5)]
    platforms.append(f"manylinux2014_{machine}")
    return ("--only-binary=:all:", f"--python-version={python}", *(f"--platform={each}" for each in platforms))


def make_record() -> dict[str, Any]:
    """Ask the index for every pin, every supported Python and machine; a pin without a wheel there ends it."""
    record: dict[str, Any] = {}
    pins = [pin for name in FILES.values() for pin in read_pins((ROOT / name).read_text("utf-8"))]
    source = [pin for pin in pins if pin.name in SOURCE_ONLY]
    for python in PYTHONS:
        pinned = [pin for pin in pinned_for(pins, python).values() if pin.name not in SOURCE_ONLY]
        for machine in MACHINES:
            _note(record, f"{python} {machine}", _index_report(pinned, *_wheels_of(python, machine)))
    _note(record, "source", _index_report(source, "--no-build-isolation", "--use-pep517"))
    return dict(sorted(record.items()))


def _note(record: dict[str, Any], where: str, installs: Sequence[Mapping[str, Any]]) -> None:
    for item in installs:
        metadata = item["metadata"]
        name = f"{canonicalize_name(metadata['name'])}=={metadata['version']}"
        entry = record.setdefault(name, {"requires": metadata.get("requires_dist", []), "files": {}})
        entry["files"].setdefault(item["download_info"]["archive_info"]["hashes"]["sha256"], []).append(where)


def project() -> dict[str, Any]:
    """Return ``pyproject.toml``."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


if __name__ == "__main__":
    lines = (f" {json.dumps(name)}: {json.dumps(entry)}" for name, entry in make_record().items())
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")  # a line each: a readable diff
