import os
from pathlib import Path

import pytest

from cdsed.local.contents import read_plain


@pytest.mark.parametrize(("bytes_max", "read"), [(0, b""), (3, b"abc"), (6, b"abcdef"), (100, b"abcdef")])
def test_the_first_bytes_of_a_file_are_read(tmp_path: Path, bytes_max: int, read: bytes) -> None:
    (tmp_path / "file").write_bytes(b"abcdef")
    assert read_plain(tmp_path / "file", bytes_max) == read


def test_what_is_not_a_plain_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a plain file"):
        read_plain(tmp_path / "pipe", 10)
    with pytest.raises(OSError, match="not a plain file"):
        read_plain(tmp_path, 10)
