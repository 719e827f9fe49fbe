"""Fetching a piece: every fault has its code, what arrived stays, and wrong bytes never pass."""

import hashlib
import os
import threading
import time
from dataclasses import replace

import pytest

from cdsed.errors import AccountError, DiskError, LeaseLost, ProductError, ServiceError, Stopped
from cdsed.local.space import free_bytes
from cdsed.transfer.bandwidth import BandwidthBudget, Pace
from cdsed.transfer.stall_detector import StallDetector
from tests.support.s3_lab import piece_of

_SIZE = 600_000


@pytest.fixture
def item(s3_lab):
    _, s3_path = s3_lab.product(size_bytes=_SIZE)
    [item] = s3_lab.listed(s3_path)
    assert item.size_bytes > 500_000
    return item


def fault(s3_lab, item, kind, **options):
    return s3_lab.sandbox.fault(kind=kind, key=item.key, operation="get", **options)


def is_true(s3_lab, item):
    data = (s3_lab.staging / item.path).read_bytes()
    return hashlib.md5(data).hexdigest() == item.etag and len(data) == item.size_bytes


def test_a_whole_object_comes_with_its_digests(s3_lab, item):
    digests = s3_lab.fetch(piece_of(item), frozenset({"md5", "sha3_256"}))
    assert digests.md5 == item.etag
    assert digests.sha3_256 == hashlib.sha3_256((s3_lab.staging / item.path).read_bytes()).hexdigest()
    assert is_true(s3_lab, item)


def test_pieces_in_any_order_make_the_object(s3_lab, item):
    half = item.size_bytes // 2
    assert s3_lab.fetch(piece_of(item, half)).md5 is None
    assert s3_lab.fetch(piece_of(item, 0, half)).md5 is None
    assert is_true(s3_lab, item)


def test_a_reset_continues_from_what_arrived(s3_lab, item):
    fault(s3_lab, item, "reset", times=1, after_bytes=400_000)
    with pytest.raises(ServiceError) as error:
        s3_lab.fetch(piece_of(item))
    assert error.value.code in ("ConnectionLost", "TruncatedBody")
    # A reset discards what the kernel has received and the program has not read: perhaps all.
    arrived = s3_lab.progress.safe_bytes[-1] if s3_lab.progress.safe_bytes else 0
    assert arrived <= 400_000
    s3_lab.sandbox.reset_counters()
    s3_lab.fetch(piece_of(item, done=arrived))
    assert is_true(s3_lab, item)
    assert s3_lab.sandbox.counters()["keys"][item.key]["bytes_sent"] == item.size_bytes - arrived


def test_a_short_body_is_not_an_end(s3_lab, item):
    fault(s3_lab, item, "short_body", times=1, after_bytes=100_000)
    with pytest.raises(ServiceError) as error:
        s3_lab.fetch(piece_of(item))
    assert error.value.code in ("TruncatedBody", "UnexpectedObject")
    done = s3_lab.progress.safe_bytes[-1] if s3_lab.progress.safe_bytes else 0
    s3_lab.fetch(piece_of(item, done=done))
    assert is_true(s3_lab, item)


def test_a_reset_before_the_headers_is_a_lost_connection(s3_lab, item):
    s3_lab.connection.close()
    fault(s3_lab, item, "reset")
    with pytest.raises(ServiceError) as error:
        s3_lab.fetch(piece_of(item))
    assert error.value.code == "ConnectionLost"
    assert s3_lab.progress.safe_bytes == []


def test_a_kept_connection_the_server_has_closed_is_opened_again_once(s3_lab, item):
    fault(s3_lab, item, "reset", times=1)
    assert s3_lab.fetch(piece_of(item)).md5 == item.etag


def test_a_range_that_is_answered_with_200_as_rclone_does_is_taken(s3_lab, item):
    fault(s3_lab, item, "range_as_200", times=3)
    for first, last in ((0, 200_000), (200_000, 400_000), (400_000, item.size_bytes)):
        piece = replace(piece_of(item), first_byte=first, size_bytes=last - first)
        assert s3_lab.fetch(piece).md5 is None
    assert is_true(s3_lab, item)


@pytest.mark.parametrize("part", [False, True])
def test_an_error_body_under_status_200_never_passes(s3_lab, item, part):
    fault(s3_lab, item, "xml_body", times=1)
    with pytest.raises(ServiceError) as error:
        s3_lab.fetch(piece_of(item, 10) if part else piece_of(item))
    assert error.value.code == "UnexpectedObject"
    assert (s3_lab.staging / item.path).read_bytes() == bytes(item.size_bytes)


@pytest.mark.parametrize(
    ("kind", "options", "fault_domain", "code"),
    [
        ("not_found", {}, ProductError, "NoSuchKey"),
        ("forbidden", {}, AccountError, "AccessDenied"),
        ("forbidden", {"code": "InvalidAccessKeyId"}, AccountError, "InvalidAccessKeyId"),
        ("forbidden", {"code": "SignatureDoesNotMatch"}, AccountError, "SignatureDoesNotMatch"),
        ("forbidden", {"code": "ExpiredToken"}, AccountError, "ExpiredToken"),
        ("key_expired", {}, AccountError, "InvalidAccessKeyId"),
        ("key_not_yet_valid", {}, AccountError, "InvalidAccessKeyId"),
        ("throttle", {"retry_after_s": 7}, AccountError, "Throttled"),
        ("internal_error", {}, ServiceError, "InternalError"),
        ("slow_down", {"retry_after_s": 7}, ServiceError, "SlowDown"),
    ],
)
def test_a_refusal_has_its_domain_and_the_connection_continues(s3_lab, item, kind, options, fault_domain, code):
    fault(s3_lab, item, kind, times=1, **options)
    with pytest.raises(fault_domain) as error:
        s3_lab.fetch(piece_of(item))
    assert (error.value.code, error.value.retry_after_s) == (code, options.get("retry_after_s"))
    assert s3_lab.connection.delivered_bytes == 0
    assert s3_lab.fetch(piece_of(item)).md5 == item.etag


def test_a_wrong_secret_is_the_accounts_fault(s3_lab, item):
    s3_lab.connection.close()
    s3_lab.connection = s3_lab.connect(secret="wrong" * 8)
    with pytest.raises(AccountError) as error:
        s3_lab.fetch(piece_of(item))
    assert error.value.code == "SignatureDoesNotMatch"
    assert "wrong" not in str(error.value)


@pytest.mark.parametrize("first", [0, 100])
def test_an_object_that_changed_since_it_was_listed_is_refused(s3_lab, item, first):
    with pytest.raises(ProductError) as error:
        s3_lab.fetch(piece_of(item, first, etag="0" * 32))
    assert error.value.code == "Changed"
    assert s3_lab.fetch(piece_of(item)).md5 == item.etag


def test_an_object_that_changes_while_it_is_fetched_begins_again(s3_lab, item):
    fault(s3_lab, item, "changed_etag", times=1)
    with pytest.raises(ProductError) as error:
        s3_lab.fetch(piece_of(item))
    assert error.value.code == "Changed"


def test_wrong_bytes_show_in_the_digest(s3_lab, item):
    fault(s3_lab, item, "wrong_bytes", times=1)
    assert s3_lab.fetch(piece_of(item)).md5 != item.etag


def test_a_stall_is_cut_by_the_read_time_out_and_what_arrived_stays(s3_lab, item):
    s3_lab.connection.close()
    s3_lab.connection = s3_lab.connect(read_timeout_s=0.5)
    fault(s3_lab, item, "stall", times=1, after_bytes=400_000)
    with pytest.raises(ServiceError) as error:
        s3_lab.fetch(piece_of(item))
    assert error.value.code == "Timeout"
    assert 0 < s3_lab.progress.safe_bytes[-1] <= 400_000


def test_a_transfer_that_trickles_is_aborted_and_what_arrived_stays(s3_lab, item):
    fault(s3_lab, item, "trickle", times=1, after_bytes=400_000, bytes_per_s=500)
    stall_detector = StallDetector(50_000, window_s=1)
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.1):
            if s3_lab.progress.written_bytes:  # on a busy machine nothing may have come within the first window
                stall_detector.check()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        with pytest.raises(ServiceError) as error, stall_detector.watch(s3_lab.connection):
            s3_lab.fetch(piece_of(item))
    finally:
        done.set()
        thread.join()
    assert error.value.code == "TooSlow"
    assert 0 < s3_lab.progress.safe_bytes[-1] < item.size_bytes
    assert s3_lab.fetch(piece_of(item, done=s3_lab.progress.safe_bytes[-1])).md5 is None
    assert is_true(s3_lab, item)


def test_a_stop_during_a_body_cuts_it_and_keeps_what_arrived(s3_lab, item):
    fault(s3_lab, item, "trickle", times=1, after_bytes=400_000, bytes_per_s=500)
    stall_detector = StallDetector(0, 60)

    def stop_then() -> None:
        deadline = time.monotonic() + 10
        while not s3_lab.progress.written_bytes and time.monotonic() < deadline:
            time.sleep(0.01)
        s3_lab.stop.set()
        stall_detector.abort_all()

    thread = threading.Thread(target=stop_then)
    thread.start()
    with pytest.raises(Stopped), stall_detector.watch(s3_lab.connection):
        s3_lab.fetch(piece_of(item))
    thread.join()
    assert 0 < s3_lab.progress.safe_bytes[-1] < item.size_bytes


def test_what_is_reported_safe_is_never_more_than_was_written(s3_lab, item):
    s3_lab.fetch(piece_of(item), checkpoint_every_s=0.0)
    assert s3_lab.progress.written_bytes == sorted(s3_lab.progress.written_bytes)
    assert s3_lab.progress.written_bytes[-1] == item.size_bytes
    assert set(s3_lab.progress.safe_bytes) <= set(s3_lab.progress.written_bytes)


def test_our_own_ceiling_holds(s3_lab, item):
    begun = time.monotonic()
    s3_lab.fetch(piece_of(item), pace=Pace(BandwidthBudget(), "me", 600_000))
    assert time.monotonic() - begun > 0.8 * item.size_bytes / 600_000


def test_everything_goes_over_one_connection(s3_lab, item):
    s3_lab.sandbox.reset_counters()
    account = s3_lab.sandbox.accounts[0].name
    before = s3_lab.sandbox.counters()["accounts"][account]
    for first in range(0, item.size_bytes, 100_000):
        s3_lab.fetch(piece_of(item, first, min(100_000, item.size_bytes - first)))
    after = s3_lab.sandbox.counters()["accounts"][account]
    assert after["open_max"] == 1, (before, after)
    assert is_true(s3_lab, item)


def test_a_lost_lease_in_the_middle_does_not_spoil_the_next_answer(s3_lab, item, monkeypatch):
    def lost(_: int) -> None:
        raise LeaseLost("overtaken")

    monkeypatch.setattr(s3_lab.progress, "safe", lost)
    with pytest.raises(LeaseLost):
        s3_lab.fetch(piece_of(item), checkpoint_every_s=0.0)
    monkeypatch.undo()
    assert s3_lab.fetch(piece_of(item)).md5 == item.etag


def test_a_link_in_the_staging_directory_is_not_followed(s3_lab, item, tmp_path):
    s3_lab.staging.mkdir()
    target = tmp_path / "precious"
    target.write_bytes(b"precious")
    (s3_lab.staging / item.path).symlink_to(target)
    with pytest.raises(DiskError):
        s3_lab.fetch(piece_of(item))
    assert target.read_bytes() == b"precious"
    (s3_lab.staging / item.path).unlink()
    assert s3_lab.fetch(piece_of(item)).md5 == item.etag


def test_a_full_disk_is_named_and_the_rest_comes_when_there_is_room(s3_lab, item, small_disk):
    s3_lab.staging = small_disk / ".cdsed" / "staging"
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (free_bytes(small_disk) - 300_000))
    with pytest.raises(DiskError) as error:
        s3_lab.fetch(piece_of(item), checkpoint_every_s=0.0)
    assert error.value.code == "ENOSPC"
    safe = s3_lab.progress.safe_bytes[-1] if s3_lab.progress.safe_bytes else 0
    os.truncate(filler, 0)
    s3_lab.fetch(piece_of(item, done=safe))
    assert is_true(s3_lab, item)
