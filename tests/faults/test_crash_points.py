"""Kill at any system call on a product's way, and start again: the product ends complete, once, and uncharged.

`tests.support.campaign` says how, and what is checked. CI takes some of the points, the soak all of them.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cdsed.model.choice import Choice
from cdsed.sandbox.names import realistic_safenames
from tests.support.campaign import CUT_AT, KILL, POWER_CUT, Campaign, Injury, counted, sifted
from tests.support.command_campaigns import Cancelling, Refetching
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.injection import Point, Strace, needs_strace
from tests.support.sandbox import SandboxProcess

pytestmark = [needs_strace, pytest.mark.timeout(900)]

_EVERY = 12  # of the many writes to the log of the state, CI takes every n-th one


@pytest.fixture(scope="module", params=["S1_OCN", "S5P"], ids=["many files", "one file"])
def campaign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """Give the way of a product of 16 files in five folders, and of one that is a single file."""
    with Campaign(tmp_path_factory.mktemp("way"), request.param, size_bytes=1_400_000) as found:
        yield found


def test_the_way_has_the_points_that_it_is_known_to_have(campaign: Campaign) -> None:
    """If no injection hit anything, the test would pass: so count the points first."""
    found = counted(campaign.points)
    assert found["rename inbox"] == 6  # taken, accepted, receipt and report, two files each
    assert found["renameat spool"] == 1  # published; the empty directory that held a product of one file is removed
    assert found["fdatasync spool"] >= 2
    assert found["fsync spool"] >= 3
    assert found["fsync inbox"] >= 12
    assert found["fdatasync state"] >= 15
    assert found["pwrite64 state"] > 200


def test_a_kill_at_a_choice_of_points_leaves_what_a_restart_makes_whole(campaign: Campaign) -> None:
    assert campaign.run([Injury(point, KILL) for point in sifted(campaign.points, _EVERY)]) == []


def test_a_power_cut_that_loses_what_was_not_synced_of_the_state_leaves_what_a_restart_makes_whole(
    campaign: Campaign,
) -> None:
    points = _where_power_fails(campaign)
    renamed = next(index for index, point in enumerate(points) if point.syscall == "renameat")
    chosen = points[:renamed:4] + points[renamed : renamed + 4]
    assert campaign.run([Injury(point, POWER_CUT) for point in chosen]) == []


def _where_power_fails(campaign: Campaign) -> list[Point]:
    return [point for point in campaign.points if point.syscall in CUT_AT and point.path.startswith("spool")]


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_power_cut_at_every_point_leaves_what_a_restart_makes_whole(campaign: Campaign) -> None:
    assert campaign.run([Injury(point, POWER_CUT) for point in _where_power_fails(campaign)]) == []


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_kill_at_every_point_leaves_what_a_restart_makes_whole(campaign: Campaign) -> None:
    print(f"\nkill at {len(campaign.points)} points of {campaign.safename}: {counted(campaign.points)}")
    assert campaign.run([Injury(point, KILL) for point in campaign.points]) == []


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, DaemonProcess]]:
    """Give a lab whose daemon runs, with one download process."""
    with SandboxProcess(1) as sandbox:
        lab = Installation(tmp_path_factory.mktemp("daemon") / "lab", sandbox, transfer={"processes": 1})
        with DaemonProcess(lab) as daemon:
            yield lab, daemon


def test_a_kill_while_a_product_is_copied_to_its_file_system_leaves_what_a_restart_makes_whole(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="cdsed-pre-spool-") as pre_spool:
        if Path(pre_spool).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("there is no second file system to copy from")
        with Campaign(tmp_path, "S1_OCN", size_bytes=500_000, elsewhere=Path(pre_spool)) as campaign:
            renames = [index for index, point in enumerate(campaign.points) if point.syscall == "renameat"]
            # The first one learns that this is another file system; the last one is of the source, which is removed.
            tried, renamed, discarded = renames
            last = max(index for index, point in enumerate(campaign.points) if point.path.startswith("spool"))
            points = campaign.points[tried : last + 10]  # and the commit that follows
            copied = [point for point in campaign.points[tried:renamed] if point.syscall == "openat"]
            assert len(copied) == 16
            half_removed = campaign.points[discarded + 6]
            assert (half_removed.syscall, campaign.safename in half_removed.path) == ("unlinkat", True), half_removed
            chosen = dict.fromkeys([*sifted(points, 8), half_removed])
            assert campaign.run([Injury(point, KILL) for point in chosen]) == []


_KILLS = [
    ("intake", "rename", 2),
    ("download", "fdatasync", 5),
    ("download", "renameat", 1),
    ("download", "fsync", 2),
]


@pytest.mark.parametrize(("role", "syscall", "number"), _KILLS)
def test_a_worker_of_the_real_daemon_killed_at_a_call_loses_nothing(
    installation: tuple[Installation, DaemonProcess], tmp_path: Path, role: str, syscall: str, number: int
) -> None:
    lab, daemon = installation
    safename = realistic_safenames("S1_OCN", len(_KILLS), seed=7)[_KILLS.index((role, syscall, number))]
    lab.sandbox.add_products({"safename": safename, "size_bytes": 500_000})
    listing = f"{role}-{syscall}.txt"
    daemon.until_at_work(3)
    pids = daemon.worker_pids(role)
    with Strace(pids, tmp_path / "trace", [f"-einject={syscall}:{KILL}:when={number}"]):
        lab.drop(listing, [safename])
        wait_until("the worker is killed", lambda: not set(pids) & set(daemon.worker_pids(role)), daemon=daemon)
        wait_until("the listing is reported", lambda: lab.report(listing), daemon=daemon)
    assert lab.states(listing) == {safename: "done"}
    assert lab.differences([safename]) == []
    assert lab.query("SELECT max(attempts) AS most FROM product") == [{"most": 0}]
    assert {path.name for path in (lab.spool / ".cdsed").iterdir()} == {"marker", "owners"}


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """Give the way of a product of which only the measurements are fetched, into a directory of its layout."""
    with Campaign(
        tmp_path_factory.mktemp("part"), "S1_OCN", size_bytes=600_000, part=Choice.of(["measurement"], [])
    ) as found:
        yield found


def _of_publishing(points: list[Point]) -> list[Point]:
    """Return every second point in the spool from the first directory of the layout on, and what is just beside."""
    made = next(
        index for index, point in enumerate(points) if point.syscall.startswith("mkdir") and "partial" in point.path
    )
    last = max(index for index, point in enumerate(points) if point.path.startswith("spool"))
    return sifted(points[made - 3 : last + 3], 6)[::2]


def test_a_kill_while_a_part_is_published_never_leaves_it_without_its_marker(part: Campaign) -> None:
    assert part.run([Injury(point, KILL) for point in _of_publishing(part.points)]) == []


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_kill_at_every_point_of_a_part_leaves_what_a_restart_makes_good(part: Campaign) -> None:
    assert part.run([Injury(point, KILL) for point in part.points]) == []


@pytest.fixture(scope="module")
def refetching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """Give the way of a published product that is fetched again."""
    with Refetching(tmp_path_factory.mktemp("again"), "S3", size_bytes=100_000, walkers=1) as found:
        yield found


def _of_replacing(points: list[Point]) -> list[Point]:
    """Return the renames in the spool, and what is between and just beside."""
    renames = [index for index, point in enumerate(points) if point.syscall.startswith("rename") and _in_spool(point)]
    return points[renames[0] : renames[-1] + 4]


def _in_spool(point: Point) -> bool:
    return point.path.startswith("spool")


def test_a_kill_while_a_copy_is_replaced_leaves_the_former_or_the_new_one(refetching: Campaign) -> None:
    chosen = [point for point in _of_replacing(refetching.points) if _in_spool(point)]
    assert len(chosen) > 3
    assert refetching.run([Injury(point, KILL) for point in chosen]) == []


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_kill_at_every_point_of_fetching_again_leaves_the_former_or_the_new_one(refetching: Campaign) -> None:
    assert refetching.run([Injury(point, KILL) for point in refetching.points]) == []


def _half_fetched(points: Sequence[Point]) -> Point:
    """Return the first call that writes a product's bytes when some are there."""
    return [point for point in points if point.syscall.startswith("pwrite") and _in_spool(point)][3]


def _before_publishing(points: Sequence[Point]) -> Point:
    return next(point for point in points if point.syscall == "renameat" and _in_spool(point))


def _after_publishing(points: Sequence[Point]) -> Point:
    return points[points.index(_before_publishing(points)) + 1]


_CANCELLED = [(_half_fetched, "cancelled"), (_before_publishing, "cancelled"), (_after_publishing, "done")]


@pytest.fixture(scope="module", params=_CANCELLED, ids=["half fetched", "before publishing", "after publishing"])
def cancelling(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """Give what becomes of a product whose process was killed at some point, and that is cancelled then."""
    killed_at, finished = request.param
    root = tmp_path_factory.mktemp("cancelled")
    with Cancelling(root, "S3", killed_at=killed_at, finished=finished, size_bytes=100_000) as found:
        yield found


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_kill_while_a_cancelled_product_is_removed_or_found_published_leaves_nothing_half_done(
    cancelling: Campaign,
) -> None:
    assert cancelling.run([Injury(point, KILL) for point in cancelling.points]) == []
