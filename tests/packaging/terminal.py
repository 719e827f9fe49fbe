"""A shell that plays the examples of a document, with a sandbox and a daemon in the background where they start one."""

import contextlib
import itertools
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from tests.packaging.documents import Step
from tests.packaging.transcript import Comparison
from tests.support.ports import free_port

PORT, PAGE_PORT, PLACE = "8333", "8340", "/tmp/tour"  # as the documents have them
_STAYS = re.compile(r"cdsed (?:sandbox|run|web)\b(?!.*--(?:once|help))")
# Asked again until it shows what the document does: the work behind it takes its time.
_LOOKS = re.compile(r"cdsed status|cdsed check|cat /|ls /|tail ")
# What it counts depends on the moment.
_MOVES = re.compile(r"cdsed status$|cdsed check|cdsed state check|curl .*/counters")
_IDLE_TIMEOUT_S = 45
_ENDS_WITHIN_S = 150
_WRONG = {64: "wrong command line", 70: "error in cdsed", 126: "cannot be run", 127: "not found"}
_PYTHON = """
import json, sys
names = {"__name__": "__main__"}
for source in json.load(open(sys.argv[1])):
    exec(compile(source + "\\n", "<example>", "single"), names)
    sys.stderr.flush()
    print("\\x01", flush=True)
"""


# Stands for curl where a machine has none: the request that it makes is a real one.
CURL = """#!/bin/sh
exec "{python}" -c '
import sys, urllib.request
words = [word for word in sys.argv[1:] if word not in ("-s", "-d")]
data = words[1].encode() if len(words) > 1 else None
sys.stdout.write(urllib.request.urlopen(words[0], data).read().decode())
' "$@"
"""


class Terminal:
    """Plays steps in one bash, in a directory and on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self._page_port = free_port(), free_port()
        self.comparison = Comparison()
        self._started = 0
        self._printed = b""

    def __enter__(self) -> Self:
        self._link_program()
        home = self.folder / "home"
        (home / "bin").mkdir(parents=True, exist_ok=True)
        (home / "bin/curl").write_text(CURL.format(python=sys.executable), "utf-8")
        (home / "bin/curl").chmod(0o755)
        inherited = {"TMPDIR"} & os.environ.keys()
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=self.folder,
            env={
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin:{home}/bin",
                "HOME": str(home),
                "LC_ALL": "C.UTF-8",
                "PYTHONUNBUFFERED": "1",  # what goes to both outputs stays in order, as on a terminal
                **{name: os.environ[name] for name in inherited},
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_exception: object) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._bash.pid, number)
            until = time.monotonic() + 10
            while time.monotonic() < until and _group_lives(self._bash.pid):
                self._bash.poll()
                time.sleep(0.05)
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.close()
        self._bash.stdout.close()

    def play(self, steps: Iterable[Step]) -> None:
        """Run them in order; AssertionError when one prints other output than the document shows."""
        for (_section, kind), group in itertools.groupby(steps, key=lambda step: (step.section, step.kind)):
            if kind == "python":
                self._play_python(list(group))
                continue
            for step in group:
                if _STAYS.match(step.command):
                    self._play_server(step)
                else:
                    self._play_command(step)

    def _link_program(self) -> None:
        """Let the environments that the documents name lead to this program, without its pip."""
        here, installed = self.folder / ".venv/bin", self.folder / "home/cdsed/bin"
        here.mkdir(parents=True)
        installed.mkdir(parents=True)
        (here / "activate").touch()
        (installed / "cdsed").symlink_to(Path(sys.executable).with_name("cdsed"))
        (installed / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n', "utf-8")
        (installed / "python").chmod(0o755)

    def _play_command(self, step: Step) -> None:
        moving = bool(_MOVES.match(step.command))
        until = time.monotonic() + _IDLE_TIMEOUT_S
        while True:
            code, printed = self._run(step.command)
            if self.comparison.agrees(step.shown, printed, moving=moving):
                break
            if not _LOOKS.match(step.command) or time.monotonic() > until:
                raise AssertionError(_differs(step, printed))
            time.sleep(0.1)
        if not step.shown or "…" in step.shown:  # the document does not show all of it
            assert code not in _WRONG, f"{step}: {_WRONG[code]}\n{printed}"

    def _play_server(self, step: Step) -> None:
        """Start a command that keeps running, and wait for the output that the document shows, if any."""
        self._started += 1
        output = self.folder / f"background-{self._started}"
        output.touch()
        self._run(f"{step.command} > {shlex.quote(str(output))} 2>&1 &")
        until = time.monotonic() + _IDLE_TIMEOUT_S
        while step.shown:
            printed = self._as_shown(output.read_text("utf-8"))
            if printed and self.comparison.agrees(step.shown, printed):
                break
            if time.monotonic() > until:
                raise AssertionError(_differs(step, printed))
            time.sleep(0.05)
        # The reader starts the daemon, and uses another terminal.
        status = "cdsed status " + " ".join(re.findall(r"--config \S+", step.command))
        while step.command.startswith("cdsed run") and self._run(status)[0] == 3:
            assert time.monotonic() < until, _differs(step, output.read_text("utf-8"))

    def _play_python(self, steps: list[Step]) -> None:
        driver, sources = self.folder / "driver.py", self.folder / "statements.json"
        driver.write_text(_PYTHON, "utf-8")
        sources.write_text(json.dumps([self._real(step.command) for step in steps]), "utf-8")
        _code, printed = self._run(f"python {shlex.quote(str(driver))} {shlex.quote(str(sources))}")
        outputs = printed.split("\x01\n")
        for step, output in zip(steps, outputs, strict=False):
            assert self.comparison.agrees(step.shown, output.replace("\r", "\n")), _differs(step, output)
        assert len(outputs) == len(steps) + 1, printed

    def _run(self, command: str) -> tuple[int, str]:
        """Return the exit code of a command and what it printed, with the document's names for place and port."""
        assert self._bash.stdin is not None
        real = self._real(self.comparison.actual(command))
        self._bash.stdin.write(f"{real}\nprintf '\\x02%s\\x03' $?\n".encode())
        self._bash.stdin.flush()
        until = time.monotonic() + _ENDS_WITHIN_S
        while not (end := re.search(rb"\x02(\d+)\x03", self._printed)):
            self._read(until, command)
        printed, self._printed = self._printed[: end.start()], self._printed[end.end() :]
        return int(end[1]), self._as_shown(printed.decode())

    def _read(self, until: float, command: str) -> None:
        assert self._bash.stdout is not None
        ready, _, _ = select.select([self._bash.stdout], [], [], max(0, until - time.monotonic()))
        data = os.read(self._bash.stdout.fileno(), 65536) if ready else b""
        if not data:
            words = self._as_shown(self._printed.decode(errors="replace"))
            raise AssertionError(f"{command}: {'bash has left' if ready else 'does not end'}\n{words}")
        self._printed += data

    def _real(self, text: str) -> str:
        # The default port may be in use.
        text = re.sub(r"^cdsed web\b(?!.*--listen)", f"cdsed web --listen 127.0.0.1:{PAGE_PORT}", text)
        ports = text.replace(PORT, str(self.port)).replace(PAGE_PORT, str(self._page_port))
        return ports.replace(PLACE, str(self.folder / "tour"))

    def _as_shown(self, text: str) -> str:
        shown = re.sub(rf"\b{self.port}\b", PORT, text.replace(str(self.folder / "tour"), PLACE))
        return re.sub(rf"\b{self._page_port}\b", PAGE_PORT, shown)


def _differs(step: Step, printed: str) -> str:
    shown = "\n".join(step.shown)
    return f"{step}\n--- the document shows\n{shown}\n--- it printed\n{printed}"


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
