"""Sentinel-1 products of one observation, across types."""

import pytest

from cdsed.model.matching import match
from cdsed.model.safename import Safename, parse

SLC = parse("S1A_IW_SLC__1SDV_20240604T110100_20240604T110127_054172_069690_E33E.SAFE")
S2 = parse("S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE")


def grd(start="110100", stop="110125", *, unit="S1A", kind="GRDH_1SDV", ids="054172_069690", tail="0AF1") -> Safename:
    return parse(f"{unit}_IW_{kind}_20240604T{start}_20240604T{stop}_{ids}_{tail}.SAFE")


def test_the_same_start_wins_over_a_closer_stop():
    exact, other = grd(stop="110125"), grd("110101", "110127")
    assert match(SLC, [other, exact], 2) == exact


def test_else_the_closest_start_within_the_tolerance_wins():
    near, far = grd("110101"), grd("110058")
    assert match(SLC, [far, near], 2) == near
    assert match(SLC, [far], 2) == far
    assert match(SLC, [grd("110103")], 2) is None
    assert match(SLC, [grd("110103")], 3) is not None


@pytest.mark.parametrize(
    "candidate",
    [
        grd(unit="S1C"),
        grd(ids="054173_069690"),
        grd(ids="054172_069691"),
        grd(kind="RAW__0ADV"),
        grd(kind="RAW__0CDV"),
        S2,
        SLC,
    ],
    ids=lambda candidate: candidate.name,
)
def test_another_observation_never_matches_nor_the_product_itself(candidate):
    assert match(SLC, [candidate], 60) is None


@pytest.mark.parametrize("kind_", ["GRDH_1SDV", "GRDM_1SDV", "OCN__2SDV", "RAW__0SDV"])
def test_every_type_matches_every_other_in_both_directions(kind_):
    other = grd("110101", kind=kind_)
    assert match(SLC, [other], 2) == other
    assert match(other, [SLC], 2) == SLC


def test_a_cog_matches_only_when_asked_for():
    plain, cog = grd("110101"), grd(tail="0AF2_COG")
    assert match(SLC, [cog, plain], 2) == plain
    assert match(SLC, [cog], 2) is None
    assert match(SLC, [plain, cog], 2, cog=True) == cog


def test_the_order_of_the_candidates_does_not_decide():
    twins = [grd(tail="0AF1"), grd(tail="0AF2"), grd("110101", "110127"), grd("110059", "110127")]
    assert {match(SLC, order, 2) for order in (twins, twins[::-1], twins[2:] + twins[:2])} == {twins[0]}


def test_what_is_not_sentinel_1_matches_nothing():
    assert match(S2, [SLC, S2], 60) is None
    assert match(parse("S1A_AUX_INS_V20140406T010000_G20140409T142540.SAFE"), [SLC], 60) is None
