"""The catalogue as it is: names without extensions, objects with more of them, rows that S3 does not have yet."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

BARE = "S2B_MSIL2A_20171207T105419_N9999_R051_T31UFS_20230927T131413"
ARCHIVE = "S3A_SR_2_PMPSAX_20200104T215523_20200106T002323_20200106T084649___________________CNE_O_SN_001"
NEW = "S1A_IW_OCN__2SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
GONE = "S2A_MSIL2A_20180918T105021_N0208_R051_T31UFS_20180918T141223.SAFE"
SUCCESSOR = "S2A_MSIL2A_20180918T105021_N0500_R051_T31UFS_20230801T120000.SAFE"
TWICE = "S1A_IW_SLC__1SDV_20240604T110100_20240604T110131_054172_069690_AAAA.SAFE"
ELSEWHERE = f"/eodata/Sentinel-1/SAR/elsewhere/{TWICE}"


def test_names_paths_and_rows_of_the_catalogue_are_taken_as_they_are(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    new = {"safename": NEW, "size_bytes": 20_000, "published_at": (now - timedelta(minutes=5)).isoformat()}
    twice = {"safename": TWICE, "size_bytes": 20_000}
    with SandboxProcess() as sandbox:
        sandbox.add_products(
            {
                "safename": f"{BARE}.SAFE",
                "size_bytes": 20_000,
                "catalogue_name": BARE,
                "s3_path": f"/eodata/Sentinel-2/MSI/L2A/2017/12/07/{BARE}",
            },
            {
                "safename": f"{ARCHIVE}.SEN3",
                "size_bytes": 20_000,
                "catalogue_name": ARCHIVE,
                "s3_path": f"/eodata/Sentinel-3/AUX/SR_2_PMPSAX/2020/01/04/{ARCHIVE}.TGZ",
            },
            new | {"listed": False},
            {"safename": GONE, "deleted": {"cause": "Obsolete product or Other", "at": "2024-01-02T03:04:05Z"}},
            {"safename": SUCCESSOR, "size_bytes": 20_000},
            twice | {"s3_path": ELSEWHERE},
            twice | {"s3_path": f"{ELSEWHERE}.old/{TWICE}", "online": False, "published_at": now.isoformat()},
        )
        lab = Installation(tmp_path, sandbox)
        lab.drop("some.txt", [BARE, ARCHIVE, NEW, GONE, TWICE])
        with DaemonProcess(lab) as daemon:
            waits = f"SELECT refusals FROM product WHERE safename = '{NEW}' AND refusals > 2"
            wait_until("several looks in vain", lambda: lab.query(waits), daemon=daemon)
            sandbox.add_products(new)
            wait_until("the report", lambda: lab.report("some.txt"), daemon=daemon)
        ends = {row["safename"]: row for row in lab.query("SELECT safename, state, attempts, path, cause FROM product")}
        assert {name for name, row in ends.items() if row["state"] != "done"} == {GONE}
        assert {row["attempts"] for row in ends.values()} == {0}
        assert ends[GONE]["cause"].endswith(f"Obsolete product or Other; the catalogue has {SUCCESSOR} instead")
        assert Path(ends[f"{BARE}.SAFE"]["path"], "manifest.safe").is_file()
        assert Path(ends[f"{ARCHIVE}.SEN3"]["path"]).stat().st_size == 20_000
        for name in (BARE, f"{BARE}.SAFE"):
            found = lab.command("query", "--name", name)
            assert BARE in found.stdout
            assert "1 product," in found.stderr
