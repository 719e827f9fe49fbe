"""Writing begins while more arrives, and what fails there is left to the sync."""

import os

from cdsed.transfer import fetch, write_behind
from tests.support.s3_lab import piece_of


def test_a_large_object_begins_to_be_written_before_its_sync(s3_lab, monkeypatch):
    monkeypatch.setattr(fetch, "_WRITE_BEHIND_BYTES", 200_000)
    begun = []
    monkeypatch.setattr(write_behind, "begin_writing", lambda _, offset, size_bytes: begun.append((offset, size_bytes)))
    _, s3_path = s3_lab.product(size_bytes=1_200_000)
    [item] = s3_lab.listed(s3_path)
    assert s3_lab.fetch(piece_of(item)).md5 == item.etag
    assert begun[0][0] == 0
    assert all(size_bytes >= 200_000 for _, size_bytes in begun)
    assert [offset for offset, _ in begun[1:]] == [offset + size_bytes for offset, size_bytes in begun[:-1]]


def test_it_changes_no_byte_and_a_failure_is_left_to_the_sync(tmp_path, monkeypatch):
    with (tmp_path / "a").open("wb+") as file:
        file.write(bytes(range(256)) * 100)
        file.flush()
        write_behind.begin_writing(file.fileno(), 0, 25_600)
        read_end, write_end = os.pipe()
        write_behind.begin_writing(read_end, 0, 1)  # ESPIPE
        monkeypatch.setattr(write_behind, "_sync_file_range", lambda: None)
        write_behind.begin_writing(file.fileno(), 0, 25_600)
    os.close(read_end)
    os.close(write_end)
    assert (tmp_path / "a").read_bytes() == bytes(range(256)) * 100
