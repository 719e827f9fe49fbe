"""What the sandboxing of systemd hides from cdsed, or forbids."""

import subprocess
from pathlib import Path

import pytest

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.disks import needs_root
from tests.support.sandbox import SandboxProcess

# As systemd does for ProcSubset=pid: /proc shows only processes.
HIDES_PROC = ("unshare", "--mount", "sh", "-c", 'mount -t proc -o subset=pid proc /proc && exec "$@"', "sh")


def skip_unless_possible(under: tuple[str, ...]) -> None:
    """Skip a test if this machine, perhaps a container, does not allow this."""
    tried = subprocess.run([*under, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no such sandbox can be made here: {tried.stderr.strip()}")


@needs_root
def test_names_and_password_only_accounts_work_where_proc_holds_only_processes(tmp_path: Path) -> None:
    skip_unless_possible(HIDES_PROC)
    names = realistic_safenames("S1_OCN", 2, seed=803)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        lab.write_accounts({"default": sandbox.accounts}, keys=False)
        sandbox.add_products(*({"safename": name, "size_bytes": 100_000} for name in names))
        lab.drop("one.txt", names)
        with DaemonProcess(lab, under=HIDES_PROC) as daemon:
            wait_until("all is finished", lambda: lab.report("one.txt"), daemon=daemon)
        assert set(lab.states("one.txt").values()) == {"done"}
        assert "exited with 70" not in daemon.log()


@needs_root
def test_a_spool_that_the_sandbox_forbids_is_reported_with_the_remedy_at_once(tmp_path: Path) -> None:
    above = tmp_path / "var"
    above.mkdir()
    read_only = ("unshare", "--mount", "sh", "-c", f'mount --bind -o ro {above} {above} && exec "$@"', "sh")
    skip_unless_possible(read_only)
    [name] = realistic_safenames("S1_GRD", 1, seed=809)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path / "lab", sandbox, spools=[str(above / "spool")])
        sandbox.add_products({"safename": name, "size_bytes": 10_000})
        with DaemonProcess(lab, under=read_only) as daemon:
            [notice] = wait_until("the notice", lambda: lab.status()["notices"], daemon=daemon)
            assert notice["text"].startswith(
                f"{above}/spool does not exist, and cannot be made here; as root: install -d "
            )
            assert f"ReadWritePaths={above}/spool" in notice["text"]
            assert notice["text"] in daemon.log()
            lab.drop("one.txt", [name])
            reported = wait_until("it waits", lambda: lab.status()["open_breakers"], daemon=daemon)
            assert f"ReadWritePaths={above}/spool" in reported[0]["reason"]
        (above / "spool").mkdir()
        assert lab.status()["notices"] == []  # no daemon runs
        with DaemonProcess(lab) as daemon:
            wait_until("all is finished", lambda: lab.report("one.txt"), daemon=daemon)
            assert lab.status()["notices"] == []
