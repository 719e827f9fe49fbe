"""A child that even SIGKILL does not end, as at a dead file server. The test imitates it: it withholds the kill."""

import json
import os
import signal
from pathlib import Path

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import ExitCode
from cdsed.process import child_slot, supervisor
from cdsed.process.child import Child
from cdsed.process.limits import Limits
from tests.process.supervision_daemon import JournalHooks


class ReloadOnce(JournalHooks):
    """Reloads when all are there, and is finished when "b" was replaced, or has not been for long."""

    asked_s = 0.0

    def began(self, name: str) -> int:
        text = self.journal.read_text(encoding="utf-8") if self.journal.exists() else ""
        return text.count(f"{name} ready ")

    def finished(self) -> ExitCode | None:
        if not self.asked_s and self.began("a") and self.began("b"):
            self.asked_s = SYSTEM_CLOCK.boot_s()
            os.kill(os.getpid(), signal.SIGHUP)
        if self.began("b") == 2:
            return ExitCode.OK
        return ExitCode.UNFINISHED if self.asked_s and SYSTEM_CLOCK.boot_s() > self.asked_s + 60 else None


def test_a_child_that_does_not_die_keeps_no_other_from_being_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undying: list[Child] = []
    kill = Child.kill

    def spare(child: Child) -> None:
        if child.spec.name != "a":
            kill(child)
        elif child.killed_s is None:
            child.killed_s = SYSTEM_CLOCK.boot_s()
            undying.append(child)

    monkeypatch.setattr(Child, "kill", spare)
    monkeypatch.setattr(child_slot, "_DIES_WITHIN_S", 0.2)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"children": {"a": "deaf", "b": "works"}}), encoding="utf-8")
    hooks = ReloadOnce(config, tmp_path / "journal")
    limits = Limits(stop_within_s=0.5, hung_after_s=60)
    try:
        assert supervisor.Supervisor(hooks.specs(), hooks, limits).run() is ExitCode.OK
    finally:
        monkeypatch.undo()
        for child in undying:
            child.killed_s = None
            child.kill()
            child.reap()
    assert hooks.began("a") == 1
