"""`cdsed add` brings a listing to a running daemon."""

from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess


def test_the_receipt_of_an_added_listing_appears_where_add_says(tmp_path: Path) -> None:
    """Earlier listings of any name do not matter, nor does how soon the daemon takes it."""
    first, second, *more = realistic_safenames("S5P", 5, seed=13)
    elsewhere = tmp_path / "elsewhere"
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox, inbox={"stable_for_s": 0.01, "scan_every_s": 0.1})
        sandbox.add_products(*({"safename": name, "size_bytes": 100_000} for name in (first, second, *more)))
        listing = tmp_path / "names.txt"
        with DaemonProcess(lab) as daemon:
            wait_until("it runs", lambda: lab.command("status").returncode == 0, daemon=daemon)
            asked = [(second, ("--outputdir", str(elsewhere), "--priority", "3")), *((name, ()) for name in more)]
            for safename, options in ((first, ()), *asked):
                listing.write_text(f"{safename}\n", encoding="utf-8")
                added = lab.command("add", str(listing), *options)
                assert added.returncode == 0, added.stderr
                assert "no daemon runs" not in added.stdout
                receipt = Path(added.stdout.partition("its receipt will be ")[2].partition(",")[0])
                report = receipt.with_name(receipt.name.replace(".receipt.", ".report."))
                wait_until("its receipt", receipt.exists, daemon=daemon)
                wait_until("its report", report.exists, daemon=daemon)
        assert (lab.spool / first).is_file()
        assert (elsewhere / second).is_file()


def test_pairs_ids_and_paths_of_other_buckets_all_end_on_disk(tmp_path: Path) -> None:
    names = realistic_safenames("S5P", 5, seed=17)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox, inbox={"stable_for_s": 0.01, "scan_every_s": 0.1})
        sandbox.add_products(*({"safename": name, "size_bytes": 10_000} for name in names))
        listing = tmp_path / "names.txt"
        listing.write_text("\n".join(names), encoding="utf-8")
        resolved = lab.command("resolve", str(listing)).stdout.splitlines()[1:]
        ids = {row.split(",")[1]: row.split(",")[0] for row in resolved}
        lines = [
            f"{names[0]},{names[1]}",
            f"{names[2]},s3://sentinel-s5p/OFFL/{names[2]}",
            ids[names[3]],
            ids[names[4]],
            names[4],
        ]
        listing.write_text("\n".join(lines) + "\n", encoding="utf-8")
        added = lab.command("add", "--strict", str(listing))
        assert "5 lines with 6 products" in added.stdout, added.stderr
        done = lab.command("run", "--once")
        assert done.returncode == 0, done.stdout + done.stderr
        assert lab.command("check", "--state").returncode == 0
    assert {path.name for path in lab.spool.iterdir() if not path.name.startswith(".")} == set(names)
