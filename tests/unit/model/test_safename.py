import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdsed.model.eodata import guess_s3_path
from cdsed.model.families import Family
from cdsed.model.safename import misfit, normalise, parse, spellings

GRD = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
SLC = "S1A_IW_SLC__1SDV_20190118T023637_20190118T023705_025526_02D4A8_08A8.SAFE"
S2 = "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE"
S3 = "S3B_SL_2_LST____20230824T223252_20230824T223552_20230825T011047_0179_083_158_1080_PS2_O_NR_004.SEN3"
S5P = "S5P_OFFL_L2__NO2____20211211T104909_20211211T123039_21566_02_020301_20211213T011704.nc"
S6 = "S6A_P4_2__LR______20240101T000000_20240101T005612_20240102T010101_3372_116_001_000_EUM__OPE_NT_F09.SEN6"
SUCCEEDED = [
    GRD,
    SLC,
    S2,
    S3,
    S5P,
    S6,
    "S1A_WV_OCN__2SSV_20140604T110100_20140604T110131_054172_069690_E33E.SAFE",
    "S1C_EW_ETA__AXDH_20260924T110100_20260924T110131_054172_069690_EFC8.SAFE",
    "S1C_IW_GRDH_1SDV_20250327T110100_20250327T110131_054172_069690_EFC8_COG.SAFE",
    "S1E_S3_RAW__0SDV_20250327T110100_20250327T110131_054172_069690_EFC8.SAFE",
    "S3A_OL_1_EFR____20240116T050535_20240116T050835_20240117T125958_0179_021_048_2160_PS1_O_NT_003.SEN3",
    "S3__SY_2_V10____20240116T050535_20240116T050835_20240117T125958_EUROPE____________PS1_O_NT_003.SEN3",
    "S1B_GP_RAW__0____20181230T101110_20181230T145913_014270________6C03.SAFE",
    "S1B_N1_RAW__0SHH_20160615T060457_20160615T060608_000734_0003B7_DE41.SAFE",
    "S1B_RF_RAW__0SDV_20190916T120034_20190916T120036_018062_022016_A624.SAFE",
    "S3A_SL_1_VSC_AX_20210802T005711_20500101T000000_20210802T031426___________________LN2_O_NN____.SEN3",
    "S3A_TM_0_NAT____20210325T004713_20210325T022924_20210325T023230_6130_070_031______LN2_O_AL_002.SEN3",
    "S3__AX___MA1_AX_20210511T150000_20210512T030000_20210512T054258___________________ECW_O_SN_001.SEN3",
    "S6A_AX____POE__AX_20240628T215923_20240630T015923_20240724T173052__________________SALP_OPE_NT_002.SEN6",
]
EXTENSIONS = ("EOF", "TGZ", "nc", "SAFE")
AUXILIARY = [
    "S1A_AUX_INS_V20140406T010000_G20140409T142540.SAFE",
    "S1A_OPER_AUX_POEORB_OPOD_20210301T134450_V20140408T225944_20140410T005944.EOF",
    "Sentinel-1_IW_mosaic_2020_M01_33UUP_0_0",
    "S3A_REP1_AUX_POEORB_POD__20161216T181714_V20160225T215943_20160226T235943_DGNS.EOF",
    "S3A_SR___POE_AX_20160311T215524_20160313T002324_20190524T115739___________________CNE_O_NT____.TGZ",
    "S2A_OPER_GIP_R2EQOG_MPC__20231108T144900_V20231109T000000_21000101T000000_B01",
    "S1A_20141012T144415__1A__20141006T025210_20141006T025235_CARD-COH6",
    "S1A_IW_GRDH_1SSH_20141022T043522_20141022T043547_002937_00355B_95D6_CARD_BS",
    "S2GLC_T32TQR_2017",
    "S11E024_2018_01_19_010906",
    "LC08_L1TP_091076_20130425_20170505_01_T1",
    "SP04_HIR_I____3_20080131T145321_20080131T145321_CDS__0000",
    "SM_OPER_MIR_SCLF1C_20240410T132847_20240410T142207_724_001_1",
]


@pytest.mark.parametrize("name", SUCCEEDED)
def test_a_real_name_is_already_canonical_and_fits_its_form(name: str) -> None:
    assert normalise(name) == name
    assert misfit(name) is None
    assert parse(name).family.value == ("S5P" if name.startswith("S5P") else name[:2])


def test_a_sentinel_1_name_tells_its_fields() -> None:
    name = parse(GRD)
    assert (name.unit, name.mode, name.product_type, name.level) == ("S1A", "IW", "IW_GRDH_1S", "L1")
    assert name.start == datetime(2024, 6, 4, 11, 1, 0, tzinfo=UTC)
    assert name.stop == datetime(2024, 6, 4, 11, 1, 31, tzinfo=UTC)
    assert name.fields["polarisation"] == "DV"
    assert name.fields["orbit"] == "054172"
    assert "cog" not in name.fields
    assert name.stem == GRD.removesuffix(".SAFE")


@pytest.mark.parametrize(
    ("name", "unit", "mode", "product_type", "level"),
    [
        (S2, "S2A", "MSI", "MSIL1C", "L1C"),
        (S3, "S3B", "SL", "SL_2_LST___", "L2"),
        (S5P, "S5P", "OFFL", "L2__NO2___", "L2"),
        (S6, "S6A", "P4", "P4_2__LR_____", "L2"),
    ],
)
def test_names_of_other_families_tell_theirs(name: str, unit: str, mode: str, product_type: str, level: str) -> None:
    safename = parse(name)
    assert (safename.unit, safename.mode, safename.product_type, safename.level) == (
        unit,
        mode,
        product_type,
        level,
    )
    assert safename.start is not None


def test_seconds_of_60_are_those_of_the_next_minute() -> None:
    name = parse("S3A_SR_2_LAN____20161231T225041_20161231T234060_20170704T185629_3019_012_343______LR1_R_NT_002.SEN3")
    assert (name.family, name.stop) == (Family.S3, datetime(2016, 12, 31, 23, 41, tzinfo=UTC))
    late = parse("S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T235960.SAFE")
    assert guess_s3_path(late) == f"/eodata/Sentinel-2/MSI/L1C/2024/09/12/{late.name}"
    assert misfit(GRD.replace("T110131", "T110161")) == "one of its times is not a date"
    assert misfit(GRD.replace("20240604T110131", "99991231T235960")) == "one of its times is not a date"


@pytest.mark.parametrize(
    ("name", "others"),
    [
        (GRD, [GRD.removesuffix(".SAFE")]),
        (S5P.removesuffix(".nc"), [S5P]),
        (AUXILIARY[1], [AUXILIARY[1].removesuffix(".EOF")]),
        ("S2GLC_T32TQR_2017.TGZ", ["S2GLC_T32TQR_2017"]),
        (f"{S6}.tar", [S6.removesuffix(".SEN6"), S6]),
        (AUXILIARY[1].removesuffix(".EOF"), [AUXILIARY[1].removesuffix("EOF") + each for each in EXTENSIONS]),
        ("Sentinel-1_IW_mosaic_2020_M01_33UUP_0_0", []),
    ],
)
def test_the_catalogue_may_write_a_name_with_or_without_its_extension(name: str, others: list[str]) -> None:
    assert spellings(name) == (name, *others)


def test_a_sentinel_2_name_has_no_stop_but_a_tile_and_a_baseline() -> None:
    name = parse(S2)
    assert name.stop is None
    assert (name.fields["tile"], name.fields["baseline"]) == ("T28PHQ", "N0511")


@pytest.mark.parametrize("name", AUXILIARY)
def test_a_name_of_unknown_form_is_a_name_all_the_same(name: str) -> None:
    assert normalise(name) == name
    assert parse(name).family is Family.OTHER
    assert parse(name).name == name
    assert misfit(name) is None


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        (GRD.replace("054172", "05417"), "orbit '05417' should be six digits"),
        (GRD.replace("054172", "0541722"), "orbit '0541722' should be six digits"),
        (GRD.replace("IW", "IX"), "mode 'IX' should be IW, EW, WV, EN or S1 to S6"),
        (SLC.replace("SLC__", "SLC_"), "type 'SLC' should be four characters"),
        (GRD.replace("1SDV", "1SXX"), "level and polarisation '1SXX' should be"),
        (GRD.replace("E33E", "E33G"), "checksum 'E33G' should be four hexadecimal digits"),
        (GRD.replace("_E33E", ""), "checksum is missing; it should be four hexadecimal digits"),
        (GRD.replace(".SAFE", ".SAVE"), "extension '.SAVE' should be '.SAFE'"),
        (GRD.replace("20240604T110131", "20241304T110131"), "one of its times is not a date"),
        (S2.replace("T28PHQ", "28PHQ"), "tile '28PHQ' should be T, two digits and three letters"),
        (S3.replace("_NR_", "_NX_"), "timeliness 'NX' should be NR, ST or NT"),
        (S5P.replace("_21566_", "_2156_"), "orbit '2156' should be five digits"),
        (S6.replace("_F09", "_F9"), "baseline 'F9' should be three characters"),
    ],
)
def test_a_misspelt_name_is_refused_with_its_wrong_field(name: str, complaint: str) -> None:
    found = misfit(name)
    assert found is not None
    assert found.startswith(complaint)
    assert parse(name).family is Family.OTHER


@pytest.mark.parametrize(
    ("token", "name"),
    [
        (GRD.removesuffix(".SAFE"), GRD),
        (GRD + ".zip", GRD),
        (GRD.removesuffix(".SAFE") + ".zip", GRD),
        (GRD + "/", GRD),
        ("/eodata/Sentinel-1/SAR/IW_GRDH_1S/2024/06/04/" + GRD + "/", GRD),
        ("C:\\data\\" + GRD, GRD),
        (f' "{GRD}" ', GRD),
        (S2.removesuffix(".SAFE"), S2),
        (S3.removesuffix(".SEN3"), S3),
        (S5P.removesuffix(".nc"), S5P),
        (S6.removesuffix(".SEN6"), S6),
        (AUXILIARY[0] + ".zip", AUXILIARY[0]),
        (AUXILIARY[1].removesuffix(".EOF"), AUXILIARY[1].removesuffix(".EOF")),
    ],
)
def test_a_word_of_a_listing_becomes_the_canonical_name(token: str, name: str) -> None:
    assert normalise(token) == name


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "it has no product name"),
        ("/", "it has no product name"),
        ("hello", "does not begin like"),
        ("manifest.safe", "does not begin like"),
        ("LC08_L1TP_193024", "does not begin like"),
        (GRD.lower(), "does not begin like"),
        ("-rf", "does not begin like"),
        ("..", "does not begin like"),
        ("S1A_..", "holds '..'"),
        (GRD.replace("_", " "), "holds ' '"),
        ("S1A_IW\x00GRD", "holds '\\x00'"),
        ("S1A_ÎW_GRDH", "holds 'Î'"),
        ("S1A_IW_GRDH*", "holds '*'"),
        ("S1A_" + "X" * 260, "at most 255"),
        ("S1A_" + "X" * 250, "at most 255"),
    ],
)
def test_what_cannot_be_a_product_is_refused_with_the_reason(token: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        normalise(token)


@given(st.text() | st.from_regex(r"S[1-9][A-Z]_.*", fullmatch=False))
def test_whatever_is_accepted_is_safe_as_a_file_name_and_stays_the_same(token: str) -> None:
    try:
        name = normalise(token)
    except ValueError:
        return
    assert name.isascii()
    assert not set(name) & set("/\\\0 \n")
    assert not name.startswith(("-", "."))
    assert ".." not in name
    assert len(name) <= 255
    assert parse(name).name == name
    misfit(name)


@pytest.mark.parametrize("name", ["S1A_X_.ZIP", "S1A_X_.zIp", "S1A_X.SAFE.zip"])
def test_an_archive_of_a_product_is_not_taken_for_a_canonical_name(name: str) -> None:
    assert not normalise(name).lower().endswith(".zip")


@pytest.mark.parametrize("name", ["S1A_X..SAFE", "S1A_\u017f.SAFE", "X1A_X.SAFE", f"S1A_{'X' * 255}.SAFE"])
def test_what_is_only_almost_a_canonical_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"holds|begin|characters"):
        normalise(name)
