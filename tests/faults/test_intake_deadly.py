"""A listing that kills its reader is given up, and the others are taken."""

from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from tests.faults.intake import lab_that_only_takes, refusal
from tests.support.daemon import DaemonProcess, wait_until
from tests.support.sandbox import SandboxProcess


def test_a_listing_that_kills_its_reader_is_refused_in_the_end_and_holds_up_no_other(tmp_path: Path) -> None:
    [name] = realistic_safenames("S1_OCN", 1, seed=411)
    with SandboxProcess() as sandbox:
        lab = lab_that_only_takes(tmp_path / "lab", sandbox)
        # The traces of six deaths. We know no listing that kills a reader today.
        taking = lab.inbox / ".taking"
        taking.mkdir()
        (taking / "deadly.txt").write_text(f"{name}\n", encoding="utf-8")
        (taking / ".deadly.txt.tries").write_text("0\n" * 5, encoding="ascii")
        with DaemonProcess(lab) as daemon:
            wait_until("it is given up", lambda: refusal(lab, "deadly.txt"), daemon=daemon)
            lab.drop("harmless.txt", [name])
            wait_until("others are taken", lambda: lab.receipt("harmless.txt"), daemon=daemon)
        assert "died each time" in (refusal(lab, "deadly.txt") or "")
        assert list(taking.iterdir()) == []
