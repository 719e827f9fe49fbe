"""An installed version with work under way is replaced by a newer one, and the way back."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import cdsed
from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from cdsed.store.migration import newest_schema
from cdsed.store.soundness import examine
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

NAMES = realistic_safenames("S1_OCN", 12, seed=51)
MIGRATION = "CREATE TABLE newcomer (id INTEGER PRIMARY KEY) STRICT;\n"


class Program:
    """An installed cdsed: a directory that one version takes from another, as `make install` does."""

    def __init__(self, root: Path) -> None:
        self.place = root / "lib"
        self.spare = root / "versions"
        package = Path(cdsed.__file__).parent
        for version in ("0.0.9", "9.0.0"):
            shutil.copytree(package, self.spare / version / "cdsed", ignore=shutil.ignore_patterns("__pycache__"))
            text = (package / "_version.py").read_text("utf-8").replace(cdsed.__version__, version)
            (self.spare / version / "cdsed/_version.py").write_text(text, "utf-8")
        migrations = self.spare / "9.0.0/cdsed/store/sql/migrations"
        number = len(list(migrations.iterdir())) + 1
        (migrations / f"{number:04d}_newcomer.sql").write_text(MIGRATION, "utf-8")

    def install(self, version: str) -> None:
        """Let this version take the place of the one that is installed."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.spare / version, self.place)

    def environ(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.place), "PYTHONSAFEPATH": "1"}  # not the checkout in the current directory


@pytest.fixture
def program(tmp_path) -> Program:
    return Program(tmp_path / "program")


@pytest.fixture
def lab(tmp_path):
    accounts = [replace(each, bandwidth_bytes_per_s=400_000) for each in make_accounts(1, seed=1)]
    with SandboxProcess(accounts) as sandbox:
        sandbox.add_products(*({"safename": name, "size_bytes": 1_000_000} for name in NAMES))
        yield Installation(tmp_path / "lab", sandbox)


def under_way(lab: Installation, daemon: DaemonProcess) -> bool:
    counts = {row["state"]: row["n"] for row in lab.query("SELECT state, count(*) n FROM product GROUP BY state")}
    return counts.get("done", 0) >= 1 and counts.get("downloading", 0) >= 1


def versions(daemon: DaemonProcess) -> list[str]:
    return [line.split("cdsed ")[1].split(" ")[0] for line in daemon.log().splitlines() if " begins; " in line]


@pytest.mark.parametrize("stopped", [True, False], ids=["stopped first", "under its feet"])
def test_work_under_way_continues_with_the_newer_version(program, lab, stopped):
    program.install("0.0.9")
    lab.drop("work.txt", NAMES)
    with DaemonProcess(lab, environ=program.environ()) as old:
        wait_until("some are done and some under way", lambda: under_way(lab, old), daemon=old)
        if not stopped:
            program.install("9.0.0")
        old.terminate()
        assert old.wait(30) == 0
    program.install("9.0.0")

    with DaemonProcess(lab, environ=program.environ()) as new:
        wait_until("all is reported", lambda: lab.report("work.txt"), daemon=new)
    assert versions(new) == ["0.0.9", "9.0.0"]
    assert set(lab.states("work.txt").values()) == {"done"}
    assert lab.differences(NAMES) == []
    assert examine(lab.state) == newest_schema() + 1
    assert sum(each["bytes_sent"] for each in lab.sandbox.counters()["keys"].values()) < 1.5 * len(NAMES) * 1_000_000


def test_a_downgrade_is_refused_with_a_remedy_that_works(program, lab):
    program.install("0.0.9")
    lab.drop("work.txt", NAMES)
    with DaemonProcess(lab, environ=program.environ()) as old:
        wait_until("some are done and some under way", lambda: under_way(lab, old), daemon=old)
    program.install("9.0.0")
    with DaemonProcess(lab, environ=program.environ()) as new:
        wait_until("the upgrade is over", lambda: versions(new)[-1] == "9.0.0" and new.worker_pids(), daemon=new)
    program.install("0.0.9")

    with DaemonProcess(lab, environ=program.environ()) as old:
        assert old.wait(30) == 78
    assert "newer than" in old.log()
    assert "cdsed state restore" in old.log()
    (backup,) = (lab.state / "backups").glob("*-before-upgrade.sqlite")
    restored = lab.command("state", "restore", "--yes", str(backup))
    assert restored.returncode == 0, restored.stderr
    with DaemonProcess(lab, environ=program.environ()) as old:
        wait_until("all is reported", lambda: lab.report("work.txt"), daemon=old)
    assert set(lab.states("work.txt").values()) == {"done"}
    assert lab.differences(NAMES) == []
