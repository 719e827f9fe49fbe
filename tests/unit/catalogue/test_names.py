"""Names in bulk: FilterList adapts to the limits of the service, and which names count as unknown."""

import threading
from collections.abc import Callable, Iterator
from urllib.parse import unquote

import pytest

from cdsed.catalogue.names import Names, Negatives, look_up
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.rate_limiter import RateLimiter
from cdsed.errors import ServiceError
from cdsed.model.safename import normalise, parse
from tests.support.catalogue_server import Response, Server, product, rows
from tests.support.clocks import HandClock

A = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
B = "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE"
ID = "521bd8f9-48a5-4e1f-9435-58f97cb64d39"
MANY = [f"S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_{number:04X}.SAFE" for number in range(3000)]


@pytest.fixture
def service(server: Server, clock: HandClock) -> Iterator[ODataClient]:
    with ODataClient(
        server.url, rate_limiter=RateLimiter(1e6, clock), timeout_s=5, clock=clock, stop=threading.Event()
    ) as service:
        yield service


def having(*names: str) -> Callable[[str], Response]:
    """Answer a filter with those of these products that it names."""
    return lambda path: rows(*(product(name) for name in names if f"'{name}'" in unquote(path)))


def listing(*names: str, page: int = 10_000, longest: int = 10_000) -> Callable[[list[str]], Response]:
    """Answer a FilterList from these products, cut at `page` rows; refuse one that is longer than `longest`."""
    known = set(names)

    def respond(asked: list[str]) -> Response:
        if len(asked) > longest:
            return Response(b'{"detail":[{"msg":"List should have fewer items"}]}', 422)
        return rows(*[product(name) for name in asked if name in known][:page])

    return respond


def test_lists_begin_small_and_grow_while_every_page_is_whole(server, service):
    server.respond_to_list = listing(*MANY)

    facts = look_up(MANY, service)

    assert list(facts.found) == MANY
    assert [len(names) for names in server.lists] == [20, 40, 80, 160, 320, 500, 500, 500, 500, 380]
    assert server.paths == server.deleted_paths == []


def test_what_was_learnt_serves_the_next_question(server, service):
    server.respond_to_list = listing(*MANY)
    names = Names(service)
    for first in range(0, len(MANY), 500):
        assert len(names.look_up(MANY[first : first + 500]).found) == 500
    assert [len(names) for names in server.lists] == [20, 40, 80, 160, 200, 400, 100, 500, 500, 500, 500]


@pytest.mark.parametrize("page", [1, 20, 33, 50])
def test_pages_that_are_cut_silently_lose_nothing(server, service, page):
    server.respond_to_list = listing(*MANY[:300], page=page)
    server.respond = having(*MANY[:300])

    facts = look_up(MANY[:300], service)

    assert list(facts.found) == MANY[:300]
    assert not facts.unknown
    assert len(server.lists[-1]) <= max(20, page)


def test_a_list_that_is_refused_for_its_length_is_asked_in_shorter_ones(server, service):
    server.respond_to_list = listing(*MANY[:700], longest=100)

    facts = look_up(MANY[:700], service)

    assert list(facts.found) == MANY[:700]
    assert [len(names) for names in server.lists][:6] == [20, 40, 80, 160, 80, 80]
    assert server.paths == []


def test_a_service_without_lists_is_asked_by_filters(server, service):
    server.respond = having(*MANY[:40])
    names = Names(service)

    assert len(names.look_up(MANY[:40]).found) == 40
    assert len(names.look_up(MANY[:40]).found) == 40

    assert len(server.lists) == 1
    assert len(server.paths) == 6


def test_a_service_that_is_down_is_an_error_and_no_short_answer(server, service):
    server.respond_to_list = lambda _: Response(b"oops", 503)
    with pytest.raises(ServiceError) as caught:
        look_up([A], service)
    assert caught.value.code == "ServerError"


def test_after_a_failure_the_next_list_is_shorter(server, service):
    server.respond_to_list = listing(*MANY)
    names = Names(service)
    names.look_up(MANY[:620])
    server.respond_to_list = lambda _: Response(b"oops", 500)
    with pytest.raises(ServiceError):
        names.look_up(MANY[620:1120])
    server.respond_to_list = listing(*MANY)
    del server.lists[:]
    assert len(names.look_up(MANY[620:1120]).found) == 500
    assert [len(names) for names in server.lists] == [250, 250]


def test_a_name_is_unknown_only_when_the_filter_and_the_deletions_say_so(server, service):
    server.respond_to_list = listing()
    server.respond = having(A)

    facts = look_up([B, A], service)

    assert list(facts.found) == [A]
    assert facts.unknown == {B}
    assert [unquote(path).count("Name eq") for path in server.deleted_paths] == [2]


def test_a_deleted_product_comes_with_its_cause_and_date(server, service):
    deletion = {"Name": A, "Id": ID, "DeletionDate": "2025-03-01T10:00:00.000Z", "DeletionCause": "Duplicated product"}
    server.respond_to_list = listing()
    server.respond_on_deleted = lambda _: rows(deletion)

    facts = look_up([A, B], service)

    assert facts.deleted[A].cause == "Duplicated product"
    assert facts.absence(A).cause == "CDSE deleted it on 2025-03-01: Duplicated product"
    assert facts.unknown == {B}


BARE = "S2B_MSIL2A_20171207T105419_N9999_R051_T31UFS_20220927T131413"


@pytest.mark.parametrize("asked", [BARE, f"{BARE}.SAFE"])
@pytest.mark.parametrize("known", [BARE, f"{BARE}.SAFE"])
def test_a_name_is_found_with_and_without_the_extension_that_either_side_lacks(server, service, asked, known):
    server.respond_to_list = listing(known)
    server.respond = having(known)
    assert look_up([asked, A], service).found[asked].name == known


def test_of_several_rows_of_a_name_the_one_that_can_be_had_wins_whatever_is_newest(server, service):
    newest = product(A, Id="1" * 8, ModificationDate="2026-01-01T00:00:00Z", Online=False)
    nowhere = product(A, Id="2" * 8, ModificationDate="2025-12-01T00:00:00Z", S3Path=None)
    old, older = product(A, Id="3" * 8), product(A, Id="4" * 8, ModificationDate="2023-01-01T00:00:00Z")
    server.respond_to_list = lambda _: rows(newest, older, nowhere, old)
    facts = look_up([A], service)
    assert facts.found[A].product_id == "3" * 8
    assert [entry.product_id for entry in facts.others[A]] == ["4" * 8]
    assert facts.absence(A) is None
    server.respond_to_list = lambda _: rows(nowhere, newest)
    assert look_up([A], service).absence(A).code == "Offline"


@pytest.mark.parametrize(
    ("gone", "versions", "successor"),
    [
        (
            "S2A_MSIL2A_20180918T105021_N0208_R051_T31UFS_20180918T141223",
            [
                "S2A_MSIL2A_20180918T105021_N0500_R051_T31UFS_20230801T120000",
                "S2A_MSIL2A_20180918T105021_N0510_R051_T31UFS_20240801T120000",
                "S2A_MSIL2A_20180918T105021_N0511_R051_T31UGS_20240901T120000",  # another tile
            ],
            1,
        ),
        (
            "S3A_OL_1_EFR____20160501T023119_20160501T023419_20180207T115114_0179_003_317_2520_LR2_R_NT_002",
            [
                "S3A_OL_1_EFR____20160501T023118_20160501T023418_20241003T093342_0180_003_317_2520_MAR_R_NT_004",
                "S3A_OL_1_EFR____20160501T023119_20160501T023419_20241003T093342_0179_003_317_2700_MAR_R_NT_004",
            ],
            0,
        ),
        (
            "S5P_OFFL_L2__NO2____20180430T001950_20180430T020120_02818_01_010200_20180510T120000",
            ["S5P_RPRO_L2__NO2____20180430T001950_20180430T020120_02818_03_020400_20221104T100000"],
            0,
        ),
        (A.removesuffix(".SAFE"), [A.replace("E33E.SAFE", "0001"), A.replace("_E33E.SAFE", "_0001_COG")], 0),
        ("S1A_AUX_INS_V20140406T010000_G20140409T142540", [], None),
    ],
)
def test_a_deleted_version_names_its_successor(server, service, gone, versions, successor):
    names = [parse(normalise(name)).name for name in (gone, *versions)]
    deletion = {"Name": names[0], "Id": ID, "DeletionDate": None, "DeletionCause": "Obsolete product or Other"}
    server.respond_to_list = listing()
    server.respond = lambda path: (
        rows(*(product(name, Id=name) for name in names[1:])) if "startswith" in path else rows()
    )
    server.respond_on_deleted = lambda _: rows(deletion)
    absence = look_up([names[0]], service).absence(names[0])
    instead = "" if successor is None else f"; the catalogue has {names[1 + successor]} instead"
    assert absence.cause == f"CDSE deleted it: Obsolete product or Other{instead}"


def test_ids_are_looked_up_too_in_either_case(server, service):
    server.respond = lambda path: rows(product(A)) if f"Id eq {ID}" in unquote(path) else rows()
    facts = look_up([ID.upper()], service)
    assert facts.found[ID.upper()].name == A
    assert server.lists == []


def test_names_and_ids_of_one_product_are_both_answered(server, service):
    server.respond_to_list = listing(A)
    server.respond = lambda _: rows(product(A))
    facts = look_up([A, ID], service)
    assert facts.found[A] == facts.found[ID]


def test_what_is_missing_is_not_asked_again_until_its_time_is_over(server, service, clock):
    server.respond_to_list = listing()
    names = Names(service, cache=Negatives(3600, clock))
    assert names.look_up([A]).unknown == {A}
    server.respond_to_list = listing(A)
    clock.now_s += 3599
    assert names.look_up([A]).unknown == {A}
    clock.now_s += 2
    assert list(names.look_up([A]).found) == [A]
    assert len(server.lists) == 2


def test_without_a_cache_a_product_published_meanwhile_is_found_at_once(server, service):
    server.respond_to_list = listing()
    assert look_up([A], service).unknown == {A}
    server.respond_to_list = listing(A)
    assert list(look_up([A], service).found) == [A]


def test_offline_is_said_with_what_to_do(server, service):
    server.respond_to_list = lambda _: rows(product(A, Online=False))
    facts = look_up([A], service)
    assert facts.absence(A).code == "Offline"
    assert "Data Workspace" in facts.absence(A).cause


@pytest.mark.parametrize(
    ("fields", "wkt"),
    [
        ({"Footprint": "geography'SRID=4326;POLYGON ((0 0, 1 0, 1 1, 0 0))'"}, "POLYGON ((0 0, 1 0, 1 1, 0 0))"),
        (
            {"GeoFootprint": {"type": "Polygon", "coordinates": [[[0, 0], [1.5, 0], [1, 1], [0, 0]]]}},
            "POLYGON ((0 0, 1.5 0, 1 1, 0 0))",
        ),
        (
            {"Footprint": None, "GeoFootprint": {"type": "MultiPolygon", "coordinates": [[[[0, 0], [1, 0], [0, 0]]]]}},
            "MULTIPOLYGON (((0 0, 1 0, 0 0)))",
        ),
        ({"Footprint": None, "GeoFootprint": None}, None),
    ],
)
def test_footprints_and_both_digests_come_with_the_entry(server, service, fields, wkt):
    checksums = [{"Algorithm": "MD5", "Value": "A" * 32}, {"Algorithm": "BLAKE3", "Value": "B" * 64}]
    server.respond_to_list = lambda _: rows(product(A, Checksum=checksums, **fields))
    entry = look_up([A], service).found[A]
    assert (entry.footprint_wkt, entry.md5, entry.blake3) == (wkt, "a" * 32, "b" * 64)
