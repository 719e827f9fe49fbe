"""Listings of real products with their real paths, as the catalogue gives both."""

import csv
import os
from pathlib import Path

import pytest

from cdsed.inbox.parse import read_listing
from cdsed.model.eodata import split_s3_path
from cdsed.model.listing import Named, Rejected

_TABLE = Path(os.environ.get("CDSED_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "real-names.tsv"


def test_every_name_is_accepted_with_its_path_whatever_extension_the_object_has(tmp_path: Path) -> None:
    if not _TABLE.is_file():
        pytest.skip("no real names here: set CDSED_SHARED_DATA")
    with _TABLE.open(encoding="utf-8", newline="") as file:
        rows = [(row["name"], row["s3_path"]) for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    listing = tmp_path / "all.csv"
    listing.write_text("safename,S3Path\n" + "".join(f"{name},{path}\n" for name, path in rows), encoding="utf-8")
    lines = list(read_listing(listing))
    assert [line for line in lines if isinstance(line, Rejected)] == []
    named = [line for line in lines if isinstance(line, Named)]
    assert [line.s3_path for line in named] == [split_s3_path(path).s3_path if path else None for _name, path in rows]


@pytest.mark.parametrize(
    "name", ["LC08_L1TP_091076_20130425_20170505_01_T1", "Sentinel-1_IW_mosaic_2020_M01_01KAS_0_0"]
)
def test_a_listing_of_other_missions_alone_is_a_listing(tmp_path: Path, name: str) -> None:
    (tmp_path / "some.txt").write_text(f"{name}\n", encoding="utf-8")
    assert [line.safename for line in read_listing(tmp_path / "some.txt") if isinstance(line, Named)] == [name]


def test_a_path_of_another_product_is_still_refused(tmp_path: Path) -> None:
    first = "S2A_OPER_GIP_R2EQOG_MPC__20231108T144900_V20231109T000000_21000101T000000_B01"
    other = f"/eodata/Sentinel-2/AUX/GIP_R2EQOG_B03/2023/11/09/{first[:-3]}B03.TGZ"
    (tmp_path / "some.csv").write_text(f"safename,S3Path\n{first},{other}\n", encoding="utf-8")
    assert [line for line in read_listing(tmp_path / "some.csv") if isinstance(line, Rejected)]
