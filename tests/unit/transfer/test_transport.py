"""A session's one connection in this process: what is asked over it, and what is counted of it."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from cdsed.model.eodata import split_s3_path
from cdsed.transfer.bandwidth import UNLIMITED
from cdsed.transfer.fetch import BUFFER_BYTES
from cdsed.transfer.staging import prepare
from cdsed.transfer.transport import LocalTransport, Transport
from tests.support.s3_lab import S3Lab, piece_of


@pytest.fixture
def transport(s3_lab: S3Lab) -> Transport:
    buffer = memoryview(bytearray(BUFFER_BYTES))
    return LocalTransport(s3_lab.connection, "me", buffer, UNLIMITED, 60.0, s3_lab.stop, nullcontext)


def test_a_product_comes_over_it_piece_by_piece(s3_lab: S3Lab, transport: Transport, tmp_path: Path):
    name, s3_path = s3_lab.product("S1_OCN")
    listed = transport.list_objects(split_s3_path(s3_path))
    asked = transport.requests
    staging = tmp_path / "pre-spool" / name
    prepare(staging, listed)
    checks: list[str] = []
    files = transport.batch("eodata", staging, name, lambda: checks.append("owner"), ())
    digests = {item.path: files.fetch(piece_of(item), s3_lab.progress) for item in listed if item.size_bytes}
    files.sync()
    files.close()
    transport.close()
    assert {path: each.md5 for path, each in digests.items()} == {i.path: i.etag for i in listed if i.size_bytes}
    assert transport.requests - asked == len(digests)
    assert transport.delivered_bytes == sum(item.size_bytes for item in listed)
    assert checks == ["owner"]


def test_after_letting_go_of_the_directory_the_owner_is_checked_again(s3_lab: S3Lab, transport: Transport, tmp_path):
    name, s3_path = s3_lab.product()
    [item] = transport.list_objects(split_s3_path(s3_path))
    prepare(tmp_path / "pre-spool" / name, [item])
    checks: list[str] = []
    files = transport.batch("eodata", tmp_path / "pre-spool" / name, name, lambda: checks.append("owner"), ())
    files.fetch(piece_of(item), s3_lab.progress)
    files.close()
    files.fetch(piece_of(item), s3_lab.progress)
    assert checks == ["owner", "owner"]


def test_it_finds_out_whose_fault_a_failure_is(s3_lab: S3Lab, transport: Transport):
    location = split_s3_path(s3_lab.product()[1])
    s3_lab.product("S2_L1C")
    assert transport.key_works(location)
    assert transport.other_product_fails(location, None) is None
    assert transport.other_folder_works(location)
    s3_lab.sandbox.fault(kind="internal_error")
    assert not transport.key_works(location)
    assert transport.other_product_fails(location, None) is not None
