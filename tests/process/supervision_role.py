"""A dummy worker: ``supervision_role.py NAME BEHAVIOUR JOURNAL``. What it does goes into the journal."""

import os
import subprocess
import sys
import threading
from pathlib import Path

from cdsed import log
from cdsed.errors import ConfigError
from cdsed.process.worker_control import WorkerControl, run_worker

HEARTBEAT_EVERY_S = 0.05


class Role:
    def __init__(self, name: str, behaviour: str, journal: Path) -> None:
        self.name = name
        self.behaviour = behaviour
        self.journal = journal

    def note(self, *words: object) -> None:
        with self.journal.open("a", encoding="utf-8") as file:
            file.write(" ".join(map(str, (self.name, *words))) + "\n")

    def body(self, control: WorkerControl) -> None:
        self.note("began", os.getpid())
        self.boot(control)
        control.ready()
        self.note("ready", os.getpid())
        if self.behaviour != "leaves":
            self.work(control)
        self.note("left", os.getpid(), "orphaned" if control.orphaned else "asked")

    def boot(self, control: WorkerControl) -> None:
        match self.behaviour:
            case "refuses":
                raise ConfigError(["colour: no such key; remove it"])
            case "crashes-at-boot":
                raise RuntimeError("no boot")
            case "gated":
                gate = self.journal.with_name("gate")
                while not gate.exists() and not control.stop.wait(HEARTBEAT_EVERY_S):
                    pass
            case "boots-for-ever":
                control.stop.wait()

    def work(self, control: WorkerControl) -> None:
        match self.behaviour:
            case "crashes":
                raise RuntimeError("no life")
            case "recovers" if self.journal.read_text(encoding="utf-8").count(f"{self.name} began") <= 3:
                raise RuntimeError("not yet")
            case "tells":
                mine = ("NOTIFY_", "WATCHDOG_", "CDSED_LIFELINE")
                reported = sorted(key for key in os.environ if key.startswith(mine))
                self.note("tells", os.getsid(0), Path("/proc/self/fd/0").readlink(), reported)
            case "begets":
                self.note("begot", subprocess.Popen(["sleep", "600"]).pid)
            case "hangs":
                control.stop.wait()
        while not control.stop.wait(HEARTBEAT_EVERY_S):
            control.heartbeat("at work")
        if self.behaviour == "deaf":
            self.note("heard", os.getpid())
            threading.Event().wait()


if __name__ == "__main__":
    log.setup(sys.argv[1])
    sys.exit(run_worker(sys.argv[1], Role(sys.argv[1], sys.argv[2], Path(sys.argv[3])).body, leave_within_s=0.5))
