import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdsed.errors import ProductError
from cdsed.model.eodata import S3Location, guess_s3_path, location_of, safe_segments, split_s3_path
from cdsed.model.safename import normalise, parse


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        (
            "S1A_IW_SLC__1SDV_20190118T023637_20190118T023705_025526_02D4A8_08A8.SAFE",
            "Sentinel-1/SAR/SLC/2019/01/18",
        ),
        (
            "S1A_IW_GRDH_1SDV_20230219T235959_20230220T000024_054172_069690_E33E.SAFE",
            "Sentinel-1/SAR/GRD/2023/02/19",
        ),
        (
            "S1A_IW_GRDH_1SDV_20230220T000000_20230220T000024_054172_069690_E33E.SAFE",
            "Sentinel-1/SAR/IW_GRDH_1S/2023/02/20",
        ),
        (
            "S1A_S3_SLC__1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE",
            "Sentinel-1/SAR/S3_SLC__1S/2024/06/04",
        ),
        (
            "S1A_IW_GRDH_1SDV_20200604T110100_20200604T110131_054172_069690_E33E_COG.SAFE",
            "Sentinel-1/SAR/IW_GRDH_1S-COG/2020/06/04",
        ),
        (
            "S1C_EW_ETA__AXDH_20260924T110100_20260924T110131_054172_069690_EFC8.SAFE",
            "Sentinel-1/AUX/EW_ETA__AX/2026/09/24",
        ),
        (
            "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE",
            "Sentinel-2/MSI/L1C/2024/09/12",
        ),
        (
            "S2B_MSIL2A_20170105T013442_N0204_R031_T53NMJ_20170105T013443.SAFE",
            "Sentinel-2/MSI/L2A/2017/01/05",
        ),
        (
            "S5P_OFFL_L2__NO2____20211211T104909_20211211T123039_21566_02_020301_20211213T011704.nc",
            "Sentinel-5P/TROPOMI/L2__NO2___/2021/12/11",
        ),
        (
            "S5P_OFFL_L1B_IR_UVN_20180501T014222_20180501T032352_02833_01_010000_20180503T164434.nc",
            "Sentinel-5P/TROPOMI/L1B/2018/05/01",
        ),
        # Collection-1, even where the name says N0510; the baseline N9999 does not belong to it
        (
            "S2A_MSIL1C_20180801T104021_N0500_R008_T31UFS_20230812T103406.SAFE",
            "Sentinel-2/MSI/L1C_N0500/2018/08/01",
        ),
        (
            "S2A_MSIL2A_20220801T104021_N0510_R008_T31UFS_20240612T103406.SAFE",
            "Sentinel-2/MSI/L2A_N0500/2022/08/01",
        ),
        (
            "S2A_MSIL2A_20220801T104021_N0510_R008_T31UFS_20230106T103406.SAFE",
            "Sentinel-2/MSI/L2A/2022/08/01",
        ),
        (
            "S2B_MSIL2A_20171104T104209_N9999_R008_T31UFS_20221201T173622.SAFE",
            "Sentinel-2/MSI/L2A/2017/11/04",
        ),
        # Sentinel-3: the folder depends on the day of creation, but for some types
        (
            "S3B_SL_2_LST____20230824T223252_20230824T223552_20230825T011047_0179_083_158_1080_PS2_O_NR_004.SEN3",
            "Sentinel-3/SLSTR/SL_2_LST___/2023/08/24",
        ),
        (
            "S3A_OL_1_EFR____20160406T012156_20160406T012355_20241003T093342_0119_002_345_1440_MAR_R_NT_004.SEN3",
            "Sentinel-3/OLCI/OL_1_EFR___/2016/04/06",
        ),
        (
            "S3A_SR_1_SRA_A__20200501T000548_20200501T005617_20200526T211408_3029_057_358______LN3_O_NT_003.SEN3",
            "Sentinel-3/SRAL/SR_1_SRA_A/2020/05/01",
        ),
        (
            "S3A_SY_2_VG1____20200701T120000_20200702T120000_20200707T122256_NORTH_AMERICA_____LN2_O_NT_002.SEN3",
            "Sentinel-3/SYNERGY/SY_2_VG1___/2020/07/01",
        ),
        (
            "S3B_SL_2_FRP____20201230T045236_20201230T045436_20201231T092222_0119_047_218_5940_LN2_O_NT_004.SEN3",
            "Sentinel-3/SLSTR/SL_2_FRP___/2020/12/30",
        ),
        (
            "S6A_MW_2__AMR_____20240224T173236_20240224T190719_20240224T191551_5683_121_108_054_EUM__OPE_NR_F08.SEN6",
            "Sentinel-6/AMR-C/MW_2__AMR____/2024/02/24",
        ),
    ],
)
def test_a_path_is_derived_where_the_layout_is_known(name: str, folder: str) -> None:
    assert guess_s3_path(parse(name)) == f"/eodata/{folder}/{name}"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (
            "S1A_AUX_INS_V20140406T010000_G20140409T142540",
            "Sentinel-1/AUX/AUX_INS/2014/04/06/*.SAFE.zip",
        ),
        (
            "S1A_OPER_AUX_GNSSRD_POD__20171211T085448_V20140406T235949_20140407T235939",  # begins in GPS time
            "Sentinel-1/AUX/AUX_GNSSRD/2014/04/07/*",
        ),
        (
            "S2A_OPER_GIP_R2EQOG_MPC__20231108T144900_V20231109T000000_21000101T000000_B01",
            "Sentinel-2/AUX/GIP_R2EQOG_B01/2023/11/09/*.TGZ",
        ),
        (
            "S2B_MSIL2A_20171008T105009_N0208_R051_T31UFS_20221104T151528",
            "Sentinel-2/MSI/L2A/2017/10/08/*",
        ),
        (
            "Sentinel-2_mosaic_2022_Q4_18LUL_0_0",
            "Global-Mosaics/Sentinel-2/S2MSI_L3__MCQ/2022/10/01/*",
        ),
    ],
)
def test_a_path_is_derived_where_its_object_has_another_extension_than_the_name(name: str, path: str) -> None:
    assert guess_s3_path(parse(normalise(name))) == f"/eodata/{path.replace('*', name)}"


@pytest.mark.parametrize(
    "name",
    [
        "S3A_OL_0_EFR____20240116T050535_20240116T050835_20240117T125958_0179_021_048_2160_PS1_O_NT_003.SEN3",
        "S3A_TM_0_NAT____20210325T004713_20210325T022924_20210325T023230_6130_070_031______LN2_O_AL_002.SEN3",
        "S5P_NRTI_L2__O3_TCL_20240917T000000_20240918T000000_00000_03_000000_20240919T000001.nc",
        "S1A_OPER_AUX_GNSSRD_POD__20171211T085448_V20140406T255949_20140407T235939",
        "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_05417_069690_E33E.SAFE",
        "LC08_L1TP_091076_20130425_20170505_01_T1",
    ],
)
def test_no_path_is_guessed_where_a_guess_would_be_wrong(name: str) -> None:
    assert guess_s3_path(parse(normalise(name))) is None


@pytest.mark.parametrize(
    "path",
    [
        "/eodata/Sentinel-1/SAR/X.SAFE",
        "s3://eodata/Sentinel-1/SAR/X.SAFE/",
        "eodata/Sentinel-1/SAR/X.SAFE",
        "Sentinel-1/SAR/X.SAFE",
        "/Sentinel-1/SAR/X.SAFE/",
    ],
)
def test_every_way_of_writing_a_path_means_the_same_place(path: str) -> None:
    location = split_s3_path(path)
    assert location == S3Location("eodata", "Sentinel-1/SAR/X.SAFE")
    assert split_s3_path(location.s3_path) == location


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/eodata",
        "/eodata/",
        "s3://",
        "//eodata/Sentinel-1/X.SAFE",
        "/eodata/Sentinel-1//X.SAFE",
        "/eodata/../etc/passwd",
        "/eodata/Sentinel-1/./X.SAFE",
        "/eodata/Sentinel-1/a\\b",
        "/eodata/Sentinel-1/a\nb",
        "/eodata/Sentinel-1/\x00",
        "https://eodata/Sentinel-1/X.SAFE",
        "/eodata/Sentinel-1/" + "x" * 256,
    ],
)
def test_a_hostile_or_empty_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="cannot be used"):
        split_s3_path(path)


def test_keys_of_real_products_are_safe() -> None:
    key = "annotation/calibration/noise-s1a-iw-grd-vh-20241217t061735-20241217t061800-057028-07020f-002.xml"
    assert safe_segments(key) == tuple(key.split("/"))


@given(st.text() | st.from_regex(r"[A-Za-z./ \\]*"))
def test_segments_that_pass_never_lead_out_of_the_product(key: str) -> None:
    try:
        segments = safe_segments(key)
    except ValueError:
        return
    assert "/".join(segments) == key
    for segment in segments:
        assert segment not in {"", ".", ".."}
        assert segment.isascii()
        assert not set(segment) & set("/\\\0\n\r")
        assert len(segment) <= 255


def test_the_location_of_a_product_is_its_bucket_and_key() -> None:
    name = "S1A_IW_SLC__1SDV_20190118T023637_20190118T023705_025526_02D4A8_08A8.SAFE"
    assert location_of(name, f"/eodata/Sentinel-1/{name}/") == S3Location("eodata", f"Sentinel-1/{name}")


@pytest.mark.parametrize(
    ("s3_path", "message"), [("/eodata/../etc", "cannot be used"), ("/eodata/Sentinel-1/B.SAFE", "another product")]
)
def test_a_path_that_is_unsafe_or_of_another_product_is_refused(s3_path: str, message: str) -> None:
    with pytest.raises(ProductError, match=message) as caught:
        location_of("A.SAFE", s3_path)
    assert caught.value.code == "UnsafePath"


@pytest.mark.parametrize(
    ("s3_path", "bucket", "used"),
    [
        ("/eodata/Sentinel-1/A.SAFE", "eodata", True),
        ("s3://sentinel-s1-l1c/GRD/A.SAFE", "eodata", False),
        ("some-folder/A.SAFE", "eodata", False),
        ("/mirror/Sentinel-1/A.SAFE", "mirror", True),
        ("/eodata/Sentinel-1/A.SAFE", "mirror", True),  # as the catalogue names it
        ("/other/Sentinel-1/A.SAFE", "mirror", False),
        ("/other/Sentinel-1/B.SAFE", "eodata", False),
    ],
)
def test_only_the_bucket_of_the_settings_is_ever_asked(s3_path: str, bucket: str, used: bool) -> None:
    if used:
        assert location_of("A.SAFE", s3_path, bucket).bucket == bucket
        return
    with pytest.raises(ProductError, match="another bucket") as caught:
        location_of("A.SAFE", s3_path, bucket)
    assert caught.value.code == "ForeignBucket"
