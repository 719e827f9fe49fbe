import logging
import os
import threading
from pathlib import Path

import pytest

from cdsed.catalogue.cache import Cache
from cdsed.clock import Clock


class Settable(Clock):
    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def utc_s(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Settable()


@pytest.fixture
def cache(tmp_path, clock):
    return Cache(tmp_path, 100, clock)


def files(tmp_path: Path) -> list[Path]:
    return [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_was_kept_comes_back_byte_by_byte(cache):
    cache.write("https://x/a?b=c", b"\x00\xff")

    assert cache.read("https://x/a?b=c") == b"\x00\xff"
    assert cache.read("https://x/a?b=d") is None


@pytest.mark.parametrize("passed_s", [100, 1e6, -1])
def test_what_is_too_old_or_from_the_future_counts_no_longer(cache, clock, passed_s):
    cache.write("a", b"1")
    clock.now_s += passed_s

    assert cache.read("a") is None


def test_it_is_replaced_by_what_is_newer(cache, clock):
    cache.write("a", b"1")
    clock.now_s += 200
    cache.write("a", b"2")

    assert cache.read("a") == b"2"


def test_pruning_removes_old_entries_and_orphaned_drafts(cache, clock, tmp_path):
    cache.write("old", b"1")
    draft = files(tmp_path)[0].with_name("draft.dead")
    draft.write_bytes(b"incomplete")
    os.utime(draft, (clock.now_s, clock.now_s))
    clock.now_s += 50
    cache.write("new", b"2")
    clock.now_s += 60
    cache.prune()
    assert cache.read("new") == b"2"
    assert {path.name for path in files(tmp_path)} >= {"draft.dead"}

    clock.now_s += 3600
    cache.prune()
    assert files(tmp_path) == []


def test_readers_see_whole_bodies_while_others_write(cache):
    bodies = {bytes([number]) * 200_000 for number in range(4)}

    def write(body: bytes) -> None:
        for _ in range(20):
            cache.write("a", body)

    writers = [threading.Thread(target=write, args=(body,)) for body in bodies]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(cache.read("a"))
    for writer in writers:
        writer.join()

    assert seen - {None} <= bodies
    assert cache.read("a") in bodies


def test_a_place_that_cannot_be_written_is_a_warning_once_and_no_failure(tmp_path, clock, caplog):
    (tmp_path / "file").write_text("", encoding="utf-8")
    cache = Cache(tmp_path / "file" / "cache", 100, clock)
    with caplog.at_level(logging.WARNING):
        cache.write("a", b"1")
        cache.write("b", b"1")

    assert cache.read("a") is None
    assert len(caplog.records) == 1


def test_what_cannot_be_removed_or_read_is_no_failure(cache, clock, tmp_path):
    cache.write("a", b"1")
    [kept] = files(tmp_path)
    kept.unlink()
    kept.mkdir()  # as a read-only disk would, it refuses to be read and removed
    clock.now_s = kept.stat().st_mtime + 200

    cache.prune()

    assert cache.read("a") is None
    assert kept.is_dir()
