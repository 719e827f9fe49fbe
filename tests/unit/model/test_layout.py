from pathlib import Path

import pytest

from cdsed.model.families import Family
from cdsed.model.layout import ProductLayout, archive_dir, checked_template
from cdsed.model.safename import parse

ROOT = Path("/archive")


@pytest.mark.parametrize(
    ("name", "below"),
    [
        (
            "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE",
            "sentinel-1a/L1/IW/S1A_IW_GRDH_1S/2024/156",
        ),
        (
            "S1C_WV_OCN__2SSV_20250101T110100_20250101T110131_054172_069690_E33E.SAFE",
            "sentinel-1c/L2/WV/S1C_WV_OCN__2S/2025/001",
        ),
        (
            "S1B_S3_SLC__1SDV_20201231T110100_20201231T110131_054172_069690_E33E.SAFE",
            "sentinel-1b/L1/SM/S1B_SM_SLC__1S/2020/366",
        ),
        (
            "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE",
            "sentinel-2a/L1C/MSI/S2A_MSIL1C/2024/256",
        ),
    ],
)
def test_sentinel_1_and_2_have_the_layout_by_year_and_day(name: str, below: str) -> None:
    assert archive_dir(ROOT, parse(name), {}) == ROOT / below


def test_other_families_need_a_template() -> None:
    name = parse("S3B_SL_2_LST____20230824T223252_20230824T223552_20230825T011047_0179_083_158_1080_PS2_O_NR_004.SEN3")
    assert archive_dir(ROOT, name, {}) is None
    template = "{family}/{unit}/{product_type}/{year}/{month}/{day}"
    assert archive_dir(ROOT, name, {Family.S3: template}) == ROOT / "S3/S3B/SL_2_LST___/2023/08/24"


def test_a_template_wins_over_the_built_in_layout() -> None:
    name = parse("S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE")
    assert archive_dir(ROOT, name, {Family.S2: "{satellite}/{doy}"}) == ROOT / "sentinel-2a/256"


def test_a_name_without_a_date_belongs_nowhere() -> None:
    name = parse("S1A_AUX_INS_V20140406T010000_G20140409T142540.SAFE")
    assert archive_dir(ROOT, name, {Family.OTHER: "{year}"}) is None


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{tiles}/{year}", "has no field {tiles}; there are family, mission, .*tile"),
        ("{unit.__class__}", "has no field; there are"),
        ("{0}", "has no field; there are"),
        ("{}", "has no field; there are"),
        ("{year:>9}", "without a format"),
        ("{year!r}", "without a format"),
        ("/abs/{year}", "must be a relative path without '..'"),
        ("../{year}", "must be a relative path without '..'"),
        ("", "must be a relative path without '..'"),
        ("{unit}\0", "must be a relative path without '..'"),
        ("{year", "expected '}'"),
    ],
)
def test_a_bad_template_is_refused_with_the_reason(template: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        checked_template(template)


S1 = parse("S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE")
S2 = parse("S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE")


@pytest.mark.parametrize(
    ("text", "of_s1", "of_s2"),
    [
        ("{mission}/{year}/{month}/{day}", "sentinel-1/2024/06/04", "sentinel-2/2024/09/12"),
        ("year={year}/doy={doy}", "year=2024/doy=156", "year=2024/doy=256"),
        ("S2:{tile}/{year}", "", "T28PHQ/2024"),
        ("S1:{polarisation}/{orbit};S2:{tile}", "DV/054172", "T28PHQ"),
        ("flat", "flat", "flat"),
        (".", "", ""),
    ],
)
def test_a_layout_puts_products_below_a_spool_by_any_field_of_their_names(text: str, of_s1: str, of_s2: str) -> None:
    layout = ProductLayout.parse(text)
    assert (layout.below(S1), layout.below(S2)) == (of_s1, of_s2)
    assert ProductLayout.parse(str(layout)) == layout
    assert layout.is_flat is (text == ".")


def test_a_name_without_a_field_of_its_layout_is_refused_with_the_fields_that_it_has() -> None:
    with pytest.raises(ValueError, match=r"E33E.SAFE has no {tile}; it has family, mission, .*polarisation"):
        ProductLayout.parse("{tile}/{year}").below(S1)
    with pytest.raises(ValueError, match=r"has no {year}; it has family, satellite, unit"):
        ProductLayout.parse("{year}").below(parse("S1A_AUX_INS_V20140406T010000_G20140409T142540.SAFE"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("../{year}", "relative path without"),
        ("/data/{year}", "relative path without"),
        ("{year}/.cdsed", "nor name a hidden directory"),
        ("partial/{year}", "must not begin with partial/"),
        ("S1:{unit};{year}", "one template, or one for each"),
        ("S1:{unit};S1:{year}", "each family once"),
        ("S1:{units}", "has no field {units}"),
        ("x" * 501, "at most 500 characters"),
    ],
)
def test_a_bad_layout_is_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ProductLayout.parse(text)


def test_an_archive_may_have_fields_that_only_some_names_have() -> None:
    templates = {Family.S2: "{tile}/{year}", Family.S1: "{tile}"}
    assert archive_dir(ROOT, S2, templates) == ROOT / "T28PHQ/2024"
    assert archive_dir(ROOT, S1, templates) is None


def test_a_good_template_is_accepted() -> None:
    template = "{family}/{satellite}/{unit}/{level}/{mode}/{product_type}/{year}/{month}/{day}/{doy}"
    assert checked_template(template) == template
