"""Asking for another product tells a failure of the service from one of a single product."""

from contextlib import nullcontext

import pytest

from cdsed.model.eodata import S3Location, split_s3_path
from cdsed.model.objects import Piece
from cdsed.transfer.other_product import Arrivals, other_folder_works, other_product_fails
from cdsed.transfer.s3_list import list_some


@pytest.fixture
def products(s3_lab):
    """Four products, in the order of the bucket."""
    paths = [s3_lab.product("S1_OCN", size_bytes=100_000)[1] for _ in range(4)]
    return sorted(paths)


def fails(s3_lab, s3_path):
    location = split_s3_path(s3_path)
    return other_product_fails(s3_lab.context(), location, nullcontext)


def fault(s3_lab, s3_path, **fault):
    s3_lab.sandbox.fault(key=f"{split_s3_path(s3_path).key}*", **fault)


def requests(s3_lab):
    return [(each["operation"], each["key"]) for each in s3_lab.sandbox.requests()]


_KINDS = ["internal_error", "wrong_secret", "throttle", "page", "reset", "not_found", "forbidden"]


@pytest.mark.parametrize("kind", _KINDS)
def test_a_fault_of_one_product_is_not_the_services(s3_lab, products, kind):
    for each in products[:3]:
        fault(s3_lab, each, kind=kind)
    assert fails(s3_lab, products[0]) is None


@pytest.mark.parametrize("operation", ["get", "list"])
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("internal_error", "InternalError"),
        ("page", None),
        ("reset", "ConnectionLost"),
        ("throttle", "Throttled"),
        ("key_expired", "InvalidAccessKeyId"),
    ],
)
def test_what_fails_for_every_product_is_not_one_products_fault(s3_lab, products, kind, code, operation):
    s3_lab.sandbox.fault(kind=kind, operation=operation)
    error = fails(s3_lab, products[1])
    assert error is not None
    assert code in (None, error.code)
    assert s3_lab.connection.requests <= 20


def test_the_probe_asks_for_nothing_of_the_product_itself_and_for_little(s3_lab, products):
    s3_lab.sandbox.reset_counters()
    assert fails(s3_lab, products[0]) is None
    key = split_s3_path(products[0]).key
    got = [asked for operation, asked in requests(s3_lab) if operation == "get"]
    assert got
    assert not [asked for asked in got if asked.startswith(key)]
    assert s3_lab.connection.delivered_bytes <= 2**20


def test_where_there_is_no_other_product_the_list_decides(s3_lab):
    alone = S3Location("eodata", "Nothing-Else/X.SAFE")
    assert other_product_fails(s3_lab.context(), alone, nullcontext) is None
    s3_lab.sandbox.fault(kind="slow_down", operation="list")
    assert other_product_fails(s3_lab.context(), alone, nullcontext).code == "SlowDown"


def test_what_arrived_before_is_asked_for_first_because_all_neighbours_may_fail(s3_lab, products):
    good, bad = split_s3_path(products[3]), split_s3_path(products[0])
    [item, *_] = list_some(s3_lab.connection, "a", good, f"{good.key}/", most=1)
    arrivals = Arrivals()
    assert arrivals.beside(bad) is None
    arrivals.note(good, Piece(1, 1, item.key, item.path, item.etag, item.size_bytes, 0, item.size_bytes, 0, 0))
    s3_lab.sandbox.reset_counters()
    assert other_product_fails(s3_lab.context(), bad, nullcontext, arrivals.beside(bad)) is None
    assert requests(s3_lab)[-1:] == [("get", item.key)]
    assert arrivals.beside(good) is None, "a product is no evidence for itself"


@pytest.mark.parametrize("operation", ["get", "list"])
def test_a_mission_that_fails_is_not_the_whole_service(s3_lab, products, operation):
    s3_lab.product("S2_L2A", size_bytes=100_000)
    number = s3_lab.sandbox.fault(kind="internal_error", operation=operation, key="Sentinel-1")
    assert fails(s3_lab, products[0]) is not None
    location = split_s3_path(products[0])
    assert other_folder_works(s3_lab.context(), location, nullcontext)
    s3_lab.sandbox.clear_faults(number)
    s3_lab.sandbox.fault(kind="internal_error", operation=operation)
    assert not other_folder_works(s3_lab.context(), location, nullcontext)
