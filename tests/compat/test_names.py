"""``product_parser.ExplodeSAFE`` and ``s3_path.guess_s3_path``: the same answers as cdsodatacli 2026.10.15."""

import copy
import pickle
from datetime import datetime

import pytest

from cdsed.compat.product_parser import ExplodeSAFE
from cdsed.compat.s3_path import guess_s3_path, key_of_path

S1 = "S1A_IW_SLC__1SDV_20190118T023637_20190118T023705_025526_02D4A8_08A8.SAFE"
S2 = "S2A_MSIL1C_20170105T013442_N0204_R031_T53NMJ_20170105T013443.SAFE"
S3 = "S3A_SR_2_WAT____20170124T120058_20170124T121058_20170124T140548_0599_013_294______MAR_O_NR_002.SEN3"
S5P = "S5P_OFFL_L2__NO2____20211211T104909_20211211T123039_21566_02_020301_20211213T011704.nc"


def test_explode_safe_reads_sentinel_1() -> None:
    safe = ExplodeSAFE(S1)
    assert {name: safe.get(name) for name in safe.props()} == {
        "safename": S1,
        "satellite": "S1A",
        "mode": "IW",
        "product": "SLC_",
        "level": "1",
        "kind": "S",
        "polarisation": "DV",
        "startdate": datetime(2019, 1, 18, 2, 36, 37),  # noqa: DTZ001 - naive, as it always was
        "enddate": datetime(2019, 1, 18, 2, 37, 5),  # noqa: DTZ001
        "absolute_orbit_number": "025526",
        "duration": 28.0,
        "sensor": "CbandRadar",
        "mission_data_take": "02D4A8",
        "product_id": "08A8",
        "production_status": "operational",
        "cycle_number": None,
        "relative_orbit_number": None,
    }


def test_explode_safe_reads_sentinel_2() -> None:
    safe = ExplodeSAFE(S2)
    assert (safe.satellite, safe.sensor, safe.product, safe.level) == ("S2A", "MultiSpectralImager", "MSIL1C", "L1C")
    assert safe.startdate == safe.enddate == datetime(2017, 1, 5, 1, 34, 42)  # noqa: DTZ001
    assert (safe.processing_baseline, safe.relative_orbit_number, safe.tile) == ("N0204", 31, "T53NMJ")
    assert (safe.product_id, safe.duration, safe.mode) == ("20170105T013443", 0, None)


def test_explode_safe_reads_sentinel_3_with_its_own_end() -> None:
    safe = ExplodeSAFE(S3)
    assert (safe.sensor, safe.product, safe.level, safe.duration) == ("SR", "WAT", "2", "0599")
    assert (safe.cycle_number, safe.relative_orbit_number) == ("013", "294")
    assert (safe.product_generating_center, safe.production_status) == ("MAR", "operational")
    assert safe.enddate == datetime(2017, 1, 24, 12, 10, 58)  # noqa: DTZ001 - not the time of its creation


def test_explode_safe_reads_new_units_and_sentinel_5p() -> None:
    assert ExplodeSAFE(S1.replace("S1A", "S1E")).satellite == "S1E"
    assert ExplodeSAFE(S5P).sensor == "TROPOMI"


@pytest.mark.parametrize("name", ["/data/" + S1, S1.replace("025526", "25526"), "LC08_L1TP.tar", "S1A_nonsense.SAFE"])
def test_explode_safe_refuses_what_is_no_safename(name: str) -> None:
    with pytest.raises(ValueError, match=r"path|should be|begin"):
        ExplodeSAFE(name)


@pytest.mark.parametrize(
    ("safename", "path"),
    [
        (S1, f"Sentinel-1/SAR/SLC/2019/01/18/{S1}"),
        (
            "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE",
            "Sentinel-1/SAR/IW_GRDH_1S/2024/06/04/S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE",
        ),
        (S2, f"Sentinel-2/MSI/L1C/2017/01/05/{S2}"),
        (S5P, f"Sentinel-5P/TROPOMI/L2__NO2___/2021/12/11/{S5P}"),
    ],
)
def test_guess_s3_path_is_a_key_without_the_bucket(safename: str, path: str) -> None:
    assert guess_s3_path(safename) == path
    assert guess_s3_path(safebasename=safename) == path


def test_guess_s3_path_refuses_what_names_do_not_tell() -> None:
    with pytest.raises(ValueError, match="not handled"):
        guess_s3_path(S3.replace("_SR_2_WAT_", "_SR_0_SRA_"))


def test_explode_safe_is_copied_and_pickled_as_any_value() -> None:
    safe = ExplodeSAFE("S1A_IW_SLC__1SDV_20210609T114848_20210609T114915_054484_0DACCA_D672.SAFE")

    for other in (copy.deepcopy(safe), pickle.loads(pickle.dumps(safe))):
        assert {name: other.get(name) for name in other.props()} == {name: safe.get(name) for name in safe.props()}
    with pytest.raises(AttributeError, match="tile"):
        safe.get("tile")


@pytest.mark.parametrize("begin", ["s3://mirror/", "/mirror/", "mirror/", "/eodata/", "s3://eodata/", ""])
def test_the_key_of_a_path_is_the_same_with_the_bucket_of_the_configuration_and_with_eodata(begin):
    assert key_of_path(f"{begin}Sentinel-1/SAR/X.SAFE/", "mirror") == "Sentinel-1/SAR/X.SAFE"
