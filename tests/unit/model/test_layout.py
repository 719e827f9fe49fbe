from pathlib import Path

import pytest

from cdsed.model.families import Family
from cdsed.model.layout import archive_dir, checked_template
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
        ("{tile}/{year}", "has no field {tile}"),
        ("{unit.__class__}", "has no field {unit.__class__}"),
        ("{0}", "has no field {0}"),
        ("{}", "has no field {}"),
        ("{year:>9}", "without a format"),
        ("{year!r}", "without a format"),
        ("/abs/{year}", "below the archive"),
        ("../{year}", "below the archive"),
        ("", "below the archive"),
        ("{unit}\0", "below the archive"),
        ("{year", "expected '}'"),
    ],
)
def test_a_bad_template_is_refused_with_the_reason(template: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        checked_template(template)


def test_a_good_template_is_accepted() -> None:
    template = "{family}/{satellite}/{unit}/{level}/{mode}/{product_type}/{year}/{month}/{day}/{doy}"
    assert checked_template(template) == template
