"""Asking for another product tells a failure of the service from one of a single product."""

from contextlib import nullcontext

import pytest

from cdsed.model.eodata import S3Location, split_s3_path
from cdsed.transfer.other_product import other_product_fails


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
