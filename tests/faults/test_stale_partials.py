"""What a killed daemon left half-done is continued, or removed if no product needs it. Other files stay."""

from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_MB = 10**6


def _kill_everybody(daemon: DaemonProcess) -> None:
    daemon.kill_all()
    wait_until("all are gone", lambda: not daemon.worker_pids())


def test_after_a_kill_in_the_middle_nothing_is_left_when_all_has_arrived(tmp_path: Path) -> None:
    names = realistic_safenames("S1_GRD", 3, seed=341)
    with SandboxProcess(bandwidth_bytes_per_s=_MB) as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 3 * _MB} for name in names))
        lab.drop("three.txt", names)
        with DaemonProcess(lab) as daemon:
            wait_until("files are begun", lambda: list(lab.spool.glob(".cdsed/S1*/measurement/*")), daemon=daemon)
            _kill_everybody(daemon)
            assert list(lab.spool.glob(".cdsed/S1*"))
            daemon.start()
            wait_until("the report", lambda: lab.report("three.txt"), daemon=daemon)
            wait_until("nothing is left", lambda: not list(lab.spool.glob(".cdsed/S1*")), daemon=daemon)
        assert lab.differences(names) == []


def test_what_no_product_under_way_owns_is_removed_at_the_start_and_what_is_foreign_stays(tmp_path: Path) -> None:
    finished, copied, waiting, foreign = realistic_safenames("S1_OCN", 4, seed=343)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 200_000} for name in (finished, copied, waiting)))
        lab.drop("two.txt", [finished, copied])
        lab.run_once()
        sandbox.fault(kind="internal_error", key=f"*{waiting}*.nc", operation="get")
        lab.drop("one.txt", [waiting])
        pre_spool = lab.spool / ".cdsed"
        with DaemonProcess(lab) as daemon:
            wait_until("it is begun", lambda: (pre_spool / waiting).is_dir(), daemon=daemon)
            _kill_everybody(daemon)
        left = [pre_spool / finished, pre_spool / f"{copied}.copy", pre_spool / f"{copied}.gone"]
        kept = [pre_spool / foreign, pre_spool / "quarantine" / finished, pre_spool / "replaced" / f"{finished}.1"]
        for folder in left + kept:
            folder.mkdir(parents=True)
            (folder / "manifest.safe").write_text("half of it", encoding="utf-8")
        kept += [pre_spool / "notes", pre_spool / waiting, pre_spool / "marker"]
        kept[3].write_text("of a person", encoding="utf-8")
        (pre_spool / f"{finished}.link").symlink_to(lab.spool / finished)
        with DaemonProcess(lab) as daemon:
            wait_until("they are gone", lambda: not any(folder.exists() for folder in left), daemon=daemon)
            assert [str(path) for path in kept if not path.exists()] == []
            assert (pre_spool / f"{finished}.link").is_symlink()
            sandbox.clear_faults()
            wait_until("the report", lambda: lab.report("one.txt"), daemon=daemon)
        assert lab.differences([finished, copied, waiting]) == []


def test_what_a_failed_product_leaves_is_removed(tmp_path: Path) -> None:
    [name] = realistic_safenames("S1_OCN", 1, seed=345)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox, retry={"attempts": 1})
        sandbox.add_products({"safename": name, "size_bytes": 200_000, "missing_object": "measurement/*"})
        lab.drop("one.txt", [name])
        with DaemonProcess(lab) as daemon:
            wait_until("the report", lambda: lab.report("one.txt"), daemon=daemon)
        assert lab.states("one.txt") == {name: "failed"}
        with DaemonProcess(lab) as daemon:
            wait_until("nothing is left", lambda: not (lab.spool / ".cdsed" / name).exists(), daemon=daemon)
