"""Names in bulk, against the sandbox's catalogue, which counts what it is asked."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from cdsed.catalogue.client import RATE_LIMIT_FILE, Catalogue, connect
from cdsed.catalogue.counterparts import counterparts
from cdsed.catalogue.names import Names, look_up
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.rate_limiter import RateLimiter
from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.settings import Settings
from cdsed.model.listing import ProductRequest
from cdsed.model.product_state import State
from cdsed.model.safename import parse
from cdsed.store import processes, products
from cdsed.store.database import open_state
from cdsed.work.resolve import Resolver
from tests.support.sandbox import SandboxProcess

LST = "S3A_SL_0_SLT____20240604T110100_20240604T110400_20240604T130000_0179_113_094_{:04d}_PS1_O_NR_004.SEN3"


@pytest.fixture(scope="module")
def full() -> Iterator[SandboxProcess]:
    """Give a sandbox whose catalogue has 10 000 rows; no test changes it."""
    with SandboxProcess() as sandbox:
        sandbox.call("POST", "catalogue/generate", {"count": 10_000, "seed": 7, "collection": "SENTINEL-3"})
        yield sandbox


def service_of(sandbox: SandboxProcess) -> ODataClient:
    rate_limiter = RateLimiter(1000, SYSTEM_CLOCK)
    stop = threading.Event()
    return ODataClient(sandbox.catalogue_url, rate_limiter=rate_limiter, timeout_s=30, clock=SYSTEM_CLOCK, stop=stop)


@pytest.fixture(scope="module")
def names(full: SandboxProcess) -> list[str]:
    names: list[str] = []
    url = f"{full.catalogue_url}/Products?$top=1000&$orderby=Id"
    while url:
        with urlopen(url.replace(" ", "%20")) as response:
            page = json.load(response)
        names += [row["Name"] for row in page["value"]]
        url = page.get("@odata.nextLink", "")
    return names


def test_ten_thousand_names_are_looked_up_in_fewer_than_thirty_requests(full, names):
    assert len(set(names)) == 10_000
    full.reset_counters()
    with service_of(full) as service:
        facts = look_up(names, service)
    assert list(facts.found) == names
    assert full.counters()["odata_requests"] < 30


def test_the_resolve_role_asks_as_seldom(full, names, tmp_path):
    full.reset_counters()
    settings = Settings(
        state_dir=tmp_path, services={"catalogue_url": full.catalogue_url}, catalogue={"requests_per_s": 30.0}
    )
    db = open_state(tmp_path)
    process = processes.register(db, SYSTEM_CLOCK, name="resolve", lock=Path("lock"))
    with db.write():
        for name in names:
            products.add(db, SYSTEM_CLOCK, ProductRequest(name, "default", 0, None))
    with Catalogue(settings, clock=SYSTEM_CLOCK, stop=threading.Event()) as catalogue:
        resolver = Resolver(db, SYSTEM_CLOCK, catalogue, process)
        while resolver.resolve_some():
            pass
    states = {products.find(db, name).state for name in names}
    db.close()
    assert states == {State.READY}
    assert full.counters()["odata_requests"] < 30


def test_the_daemon_says_why_each_product_is_unavailable(sandbox, tmp_path):
    gone, offline, unknown = (LST.format(number) for number in range(3))
    sandbox.add_products(
        {"safename": gone, "deleted": {"cause": "Missing checksum", "at": "2025-01-02T03:04:05Z"}},
        {"safename": offline, "online": False},
    )
    settings = Settings(state_dir=tmp_path, services={"catalogue_url": sandbox.catalogue_url})
    db = open_state(tmp_path)
    process = processes.register(db, SYSTEM_CLOCK, name="resolve", lock=Path("lock"))
    for name in (gone, offline, unknown):
        products.add(db, SYSTEM_CLOCK, ProductRequest(name, "default", 0, None))
    with Catalogue(settings, clock=SYSTEM_CLOCK, stop=threading.Event()) as catalogue:
        resolver = Resolver(db, SYSTEM_CLOCK, catalogue, process)
        while resolver.resolve_some():
            pass
    found = [products.find(db, name) for name in (gone, offline, unknown)]
    db.close()
    assert {product.state for product in found} == {State.UNAVAILABLE}
    assert [product.cause for product in found] == [
        "CDSE deleted it on 2025-01-02: Missing checksum",
        "offline at CDSE; order it in the Data Workspace, then drop it again",
        "not in the catalogue",
    ]


@pytest.mark.parametrize("kind", ["throttle", "slow_down", "reset"])
def test_a_fault_on_every_fifth_request_loses_nothing(full, names, kind):
    names = names[:4000]
    full.fault(kind=kind, operation="odata", every=5, retry_after_s=1, after_bytes=100)
    try:
        with service_of(full) as service:
            facts = look_up(names, service)
    finally:
        full.clear_faults()
    assert list(facts.found) == names


def test_all_who_ask_on_a_machine_share_one_pace(sandbox, tmp_path):
    services, limits = {"catalogue_url": sandbox.catalogue_url}, {"requests_per_s": 4.0}
    settings = Settings(state_dir=tmp_path, services=services, catalogue=limits)
    settings.sessions_dir.mkdir()
    stop = threading.Event()
    with (
        connect(settings, clock=SYSTEM_CLOCK, stop=stop) as one,
        connect(settings, clock=SYSTEM_CLOCK, stop=stop) as other,
    ):
        began = time.monotonic()
        for service in (one, other) * 2:
            service.get("Products", {"$top": "1"})
        assert time.monotonic() - began >= 0.75
    assert (settings.sessions_dir / RATE_LIMIT_FILE).exists()


def test_deleted_offline_and_unknown_differ(sandbox):
    at_hand, gone, offline, unknown = (LST.format(number) for number in range(4))
    sandbox.add_products(
        {"safename": at_hand},
        {"safename": gone, "deleted": {"cause": "Corrupted product", "at": "2025-01-02T03:04:05Z"}},
        {"safename": offline, "online": False},
    )
    with service_of(sandbox) as service:
        facts = look_up([unknown, offline, gone, at_hand], service)
    assert facts.absence(at_hand) is None
    assert facts.absence(gone).cause == "CDSE deleted it on 2025-01-02: Corrupted product"
    assert facts.absence(offline).code == "Offline"
    assert facts.absence(unknown).cause == "not in the catalogue"
    assert facts.found[at_hand].footprint_wkt


@pytest.mark.parametrize("settings", [{"filter_list_page": 20}, {"filter_list_max": 50}, {"filter_list_max": 10}])
def test_whatever_the_limits_of_a_list_are_nothing_is_lost(sandbox, settings):
    names = [LST.format(number) for number in range(150)]
    sandbox.add_products(*({"safename": name} for name in names))
    sandbox.call("POST", "catalogue/settings", settings)
    with service_of(sandbox) as service:
        facts = Names(service).look_up([*names, LST.format(999)])
    assert list(facts.found) == names
    assert facts.unknown == {LST.format(999)}


def test_of_two_rows_with_one_name_the_newest_counts(sandbox):
    row = {
        "Id": "00000000-0000-4000-8000-000000000001",
        "Name": LST.format(1),
        "ContentLength": 1,
        "Online": True,
        "S3Path": "/eodata/old",
        "Checksum": [],
        "ContentDate": {"Start": "2024-06-04T11:01:00.000000Z", "End": "2024-06-04T11:04:00.000000Z"},
        "PublicationDate": "2024-06-04T13:00:00.000000Z",
        "ModificationDate": "2024-06-04T13:00:00.000000Z",
        "OriginDate": "2024-06-04T13:00:00.000000Z",
        "Footprint": None,
        "GeoFootprint": None,
    }
    newer = row | {
        "Id": "00000000-0000-4000-8000-000000000002",
        "S3Path": "/eodata/new",
        "ModificationDate": "2024-06-05T13:00:00.000000Z",
    }
    sandbox.call("POST", "catalogue/load", [newer, row])
    with service_of(sandbox) as service:
        facts = look_up([LST.format(1), row["Id"]], service)
    assert facts.found[LST.format(1)].s3_path == "/eodata/new"
    assert facts.found[row["Id"]].s3_path == "/eodata/old"


def s1(kind: str, start: str, *, unit: str = "S1A", tail: str = "0AF1") -> str:
    return f"{unit}_IW_{kind}_20240604T{start}_20240604T110130_054172_069690_{tail}.SAFE"


def test_counterparts_are_found_through_the_catalogue(sandbox):
    slc, later = s1("SLC__1SDV", "110100"), s1("SLC__1SDV", "110127")
    exact, near = s1("GRDH_1SDV", "110100"), s1("GRDH_1SDV", "110128")
    others = [s1("GRDH_1SDV", "110101"), s1("GRDH_1SDV", "110100", tail="0AF2_COG"), s1("OCN__2SDV", "110100")]
    sandbox.add_products(*({"safename": name} for name in (slc, later, exact, near, *others)))
    with service_of(sandbox) as service:
        found = counterparts([parse(slc), parse(later), parse(LST.format(1))], "GRD", service, 2)
        assert {name: entry.name for name, entry in found.items()} == {slc: exact, later: near}
        assert counterparts([parse(later)], "GRD", service, 0.5) == {}
        assert [entry.name for entry in counterparts([parse(exact)], "OCN", service, 2).values()] == [others[2]]
        assert [entry.name for entry in counterparts([parse(slc)], "GRD", service, 2, cog=True).values()] == [others[1]]


def test_many_datatakes_are_asked_in_few_requests(sandbox):
    slcs = [s1("SLC__1SDV", "110100").replace("054172", f"{54172 + number:06d}") for number in range(50)]
    sandbox.add_products(*({"safename": name.replace("SLC__1", "GRDH_1")} for name in slcs))
    sandbox.reset_counters()
    with service_of(sandbox) as service:
        found = counterparts([parse(name) for name in slcs], "GRD", service, 2)
    assert len(found) == 50
    assert sandbox.counters()["odata_requests"] <= 10
