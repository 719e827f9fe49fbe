"""Any system call on a product's way fails once (disk full, broken, read-only): it ends complete, once, and uncharged.

`tests.support.campaign` says how, and what is checked. CI takes some of the points, the soak all of them.
"""

from collections.abc import Iterator

import pytest

from tests.support.campaign import Campaign, Injury, counted, sifted
from tests.support.injection import Point, needs_strace

pytestmark = [needs_strace, pytest.mark.timeout(900)]

_EVERY = 40
_ERRORS = ("ENOSPC", "EIO", "EROFS")


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """Give the way of a product of 16 files in five folders."""
    with Campaign(tmp_path_factory.mktemp("way"), "S1_OCN", size_bytes=1_400_000) as found:
        yield found


def _can_fail(point: Point, error: str) -> bool:
    """Tell whether a kernel can return this: a removal needs no space, and a sync is not a change."""
    frees = point.syscall.startswith(("unlink", "rmdir"))
    return not (frees and error in {"ENOSPC", "EDQUOT"}) and not (
        point.syscall in {"fsync", "fdatasync"} and error == "EROFS"
    )


@pytest.mark.parametrize("error", _ERRORS)
def test_a_call_that_fails_at_a_choice_of_points_costs_the_product_nothing(campaign: Campaign, error: str) -> None:
    # At the points that CI always takes, the errors take turns.
    chosen = sifted(campaign.points, _EVERY)[_ERRORS.index(error) :: len(_ERRORS)]
    assert campaign.run([Injury(point, f"error={error}") for point in chosen if _can_fail(point, error)]) == []


def test_a_quota_that_is_used_up_costs_the_product_nothing(campaign: Campaign) -> None:
    [point] = [point for point in campaign.points if point.syscall == "pwrite64" and "spool" in point.path][:1]
    assert campaign.run([Injury(point, "error=EDQUOT")]) == []


def test_a_product_is_done_though_nothing_can_be_tidied_up_after_its_rename(campaign: Campaign) -> None:
    [point] = [point for point in campaign.points if point.syscall == "unlinkat" and "spool" in point.path][-1:]
    assert campaign.run([Injury(point, "error=EIO")]) == []


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("error", _ERRORS)
def test_a_call_that_fails_at_every_point_costs_the_product_nothing(campaign: Campaign, error: str) -> None:
    chosen = [point for point in campaign.points if _can_fail(point, error)]
    print(f"\n{error} at {len(chosen)} points of {campaign.safename}: {counted(chosen)}")
    assert campaign.run([Injury(point, f"error={error}") for point in chosen]) == []
