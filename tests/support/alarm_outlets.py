"""Where alarms are seen: the status in its forms, the page's API, the metrics and a hook, all read from outside."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import requests

from cdsed.cli.main import main
from tests.support.daemon import Installation
from tests.support.ports import free_port

_REPOSITORY = str(Path(__file__).parents[2])
_METRIC = re.compile(r'cdsed_alarm_active\{name="([^"]*)",subject="([^"]*)",severity="([^"]*)"\} 1')
_CODES = {"OK": 0, "WARNING": 1, "CRITICAL": 2}

#: Name and subject of an alarm.
AlarmKey = tuple[str, str]


def hook(root: Path) -> dict[str, Any]:
    """Return a hook for the settings whose program keeps all it is given, and make that program."""
    program = root / "keep"
    program.write_text(f"#!/bin/sh\ncat >> {root}/kept; echo >> {root}/kept\n", encoding="utf-8")
    program.chmod(0o755)
    return {
        "name": "keeps",
        "events": ["person_needed"],
        "command": [str(program)],
        "batch_s": 0.0,
        "alarm_after_s": 1.0,
    }


class AlarmOutlets:
    """Reads the alarms of one installation wherever they are shown.

    The page is ``cdsed web``, so that it answers after the daemon has died, too.

    Parameters
    ----------
    root
        The directory given to `hook`.
    """

    def __init__(self, lab: Installation, root: Path) -> None:
        self._lab = lab
        self._kept = root / "kept"
        self._address = f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cdsed", "web", "--config", str(self._lab.config), "--listen", self._address],
            env={**os.environ, "PYTHONPATH": _REPOSITORY},
            stdout=subprocess.DEVNULL,
        )
        return self

    def __exit__(self, *_exception: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def events(self, kind: str) -> Counter[AlarmKey]:
        """Return how often the hook was given an event of this kind for each alarm."""
        lines = self._kept.read_text("utf-8").splitlines() if self._kept.exists() else []
        events = {event["id"]: event for line in lines if line for event in json.loads(line)["events"]}
        return Counter((each["name"], each["subject"]) for each in events.values() if each["event"] == kind)

    def wait_for(self, expected: Mapping[AlarmKey, str], texts: Mapping[str, str], timeout_s: float = 60) -> None:
        """Wait until every outlet shows these alarms with their severities, and no other one.

        Parameters
        ----------
        texts
            A part of the text of `cdsed status` by the name of an alarm.
        """
        until_s = time.monotonic() + timeout_s
        while differences := self._page(expected) or self._commands(expected, texts):
            if time.monotonic() > until_s:
                raise AssertionError("\n".join(differences))
            time.sleep(0.2)

    def _page(self, expected: Mapping[AlarmKey, str]) -> list[str]:
        try:
            status = requests.get(f"http://{self._address}/api/v1/status", timeout=5).json()
            metrics = requests.get(f"http://{self._address}/metrics", timeout=5).text
        except requests.ConnectionError as error:
            return [f"the page does not answer: {error}"]
        found = {(name, subject): severity for name, subject, severity in _METRIC.findall(metrics)}
        return _compared("the page", expected, status.get("alarms", [])) + (
            [] if found == dict(expected) else [f"metrics: {found}, not {dict(expected)}"]
        )

    def _status(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the command in this process, because dozens of interpreters would take most of the time."""
        with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")) as output:
            code = main(["status", "--config", str(self._lab.config), *options])
        output.seek(0)
        return subprocess.CompletedProcess(["status", *options], code, output.read())

    def _commands(self, expected: Mapping[AlarmKey, str], texts: Mapping[str, str]) -> list[str]:
        screen, check, as_json = (self._status(*options) for options in ((), ("--check",), ("--json",)))
        found = _compared("status --json", expected, json.loads(as_json.stdout)["alarms"])
        found += [
            f"status says nothing of {name}:\n{screen.stdout}"
            for name, _ in expected
            if texts[name] not in screen.stdout
        ]
        level = "CRITICAL" if "critical" in expected.values() else "WARNING" if expected else "OK"
        if check.returncode != _CODES[level] or not check.stdout.startswith(f"{level} - "):
            found.append(f"status --check ends with {check.returncode}, not {level}: {check.stdout}")
        said = sorted(re.findall(r"^(?:[A-Z]+ - )?([a-z_]+): ", check.stdout, re.MULTILINE))
        if said != sorted(name for name, _ in expected):
            found.append(f"status --check names {said}: {check.stdout}")
        return found


def _compared(outlet: str, expected: Mapping[AlarmKey, str], alarms: list[dict[str, str]]) -> list[str]:
    found = {(each["name"], each["subject"]): each["severity"] for each in alarms}
    if found == dict(expected):
        return []
    missing, more = dict(expected).items() - found.items(), found.items() - dict(expected).items()
    return [f"{outlet}: without {sorted(missing)}, with {sorted(more)}"]
