"""A listing dropped in the inbox becomes verified products in the spool."""

from pathlib import Path

from cdsed.sandbox.names import KINDS, realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess


def test_every_kind_of_product_of_a_listing_ends_whole_in_the_spool(tmp_path: Path) -> None:
    names = [name for kind in KINDS for name in realistic_safenames(kind, 2, seed=3)]
    with SandboxProcess(accounts=2) as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 3_000_000} for name in names))
        lab.drop("all.txt", names)
        lab.run_once()
        assert set(lab.states("all.txt").values()) == {"done"}
        assert lab.differences(names) == []
        assert all(account["open_max"] <= 4 for account in sandbox.counters()["accounts"].values())


def test_what_cannot_be_had_is_reported_with_its_cause(tmp_path: Path) -> None:
    good, unknown, offline = realistic_safenames("S1_GRD", 3, seed=7)
    misspelt = good[:49] + good[50:]  # a digit of the orbit is lost
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(
            {"safename": good, "size_bytes": 500_000},
            {"safename": offline, "size_bytes": 500_000, "online": False},
        )
        lab.drop("mixed.txt", [good, unknown, misspelt, good, "not a product", offline, ""])
        lab.run_once(1)
        receipt, report = lab.receipt("mixed.txt"), lab.report("mixed.txt")
        assert receipt is not None
        assert report is not None
        counts = receipt["counts"]
        assert (counts["accepted"], counts["duplicate"], counts["rejected"], counts["ignored"]) == (4, 1, 1, 1)
        assert counts["lines"] == 7
        rows = {row["safename"]: row for row in report["products"]}
        assert rows[good]["state"] == "done"
        assert rows[unknown]["state"] == rows[misspelt]["state"] == rows[offline]["state"] == "unavailable"
        assert "not in the catalogue" in rows[unknown]["cause"]
        assert "misspelt" in rows[misspelt]["cause"]
        assert "offline" in rows[offline]["cause"]


def test_a_product_of_two_listings_is_fetched_once_for_both_reports(tmp_path: Path) -> None:
    names = realistic_safenames("S2_L1C", 4, seed=9)
    with SandboxProcess(bandwidth_bytes_per_s=2_000_000) as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 2_000_000} for name in names))
        with DaemonProcess(lab) as daemon:
            lab.drop("first.txt", names)
            wait_until("first is taken", lambda: lab.receipt("first.txt"), daemon=daemon)
            lab.drop("second.txt", names[2:])
            wait_until("both are reported", lambda: lab.report("first.txt") and lab.report("second.txt"), daemon=daemon)
        assert set(lab.states("second.txt").values()) <= {"done", "already_present"}
        for key, counted in sandbox.counters()["keys"].items():
            assert counted["requests"] <= 2, f"{key} was asked for {counted['requests']} times"


def test_a_listing_of_a_group_uses_that_group_alone(tmp_path: Path) -> None:
    names = realistic_safenames("S3", 2, seed=11)
    with SandboxProcess(accounts=2) as sandbox:
        first, second = sandbox.accounts
        lab = Installation(tmp_path, sandbox, groups={"default": [first], "ocean": [second]})
        sandbox.add_products(*({"safename": name, "size_bytes": 500_000} for name in names))
        lab.drop("ocean.txt", names, group="ocean")
        lab.run_once()
        used = {name for name, account in sandbox.counters()["accounts"].items() if account["requests"]}
        assert used == {second.name}


def test_options_of_a_listing_choose_its_output_directory(tmp_path: Path) -> None:
    names = realistic_safenames("S5P", 2, seed=13)
    place = tmp_path / "elsewhere"
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 500_000} for name in names))
        lab.drop("there.txt", [f"# cdsed: priority=7 outputdir={place}", *names])
        lab.run_once()
        assert lab.differences(names, place) == []
        assert not list(lab.spool.glob("S5P*"))
