"""A supervisor of dummy workers: ``supervision_daemon.py CONFIG JOURNAL``; see `test_supervision`."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cdsed import log
from cdsed.errors import ConfigError, ExitCode
from cdsed.process.child import ChildSpec
from cdsed.process.exits import ChildExit
from cdsed.process.limits import Limits
from cdsed.process.supervisor import Supervisor

ROLE = Path(__file__).with_name("supervision_role.py")


class JournalHooks:
    def __init__(self, config: Path, journal: Path) -> None:
        self.config = config
        self.journal = journal

    def specs(self) -> list[ChildSpec]:
        children = json.loads(self.config.read_text(encoding="utf-8"))["children"]
        return [self.spec(name, behaviour) for name, behaviour in children.items()]

    def spec(self, name: str, behaviour: str) -> ChildSpec:
        if behaviour == "absent":
            return ChildSpec(name, ("/nonexistent/command",))
        return ChildSpec(name, (sys.executable, str(ROLE), name, behaviour, str(self.journal)))

    def note(self, *words: object) -> None:
        with self.journal.open("a", encoding="utf-8") as file:
            file.write(" ".join(map(str, ("daemon", *words))) + "\n")

    def on_tick(self) -> None:
        self.note("tick")
        if self.journal.with_name("fail").exists():
            raise OSError("the tick fails")

    def on_child_exit(self, name: str, pid: int, end: ChildExit) -> None:
        assert not Path(f"/proc/{pid}").exists(), "reported before the child is collected"
        self.note("buried", name, pid, end.describe())

    def on_reload(self) -> Sequence[ChildSpec] | None:
        try:
            return self.specs()
        except json.JSONDecodeError as error:
            raise ConfigError([f"{self.config}: {error}"]) from error

    def fileno(self) -> int:
        return -1

    def take_event(self) -> None:
        pass

    def status_text(self) -> str:
        return "all is well"

    def finished(self) -> ExitCode | None:
        return ExitCode.UNFINISHED if self.journal.with_name("finish").exists() else None


def main(config: Path, journal: Path) -> int:
    log.setup("supervisor")
    hooks = JournalHooks(config, journal)
    limits = Limits(**json.loads(config.read_text(encoding="utf-8"))["limits"])
    hooks.note("began", os.getpid())
    return Supervisor(hooks.specs(), hooks, limits).run()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
