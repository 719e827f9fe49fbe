"""Where commands write their output: stdout, or a file that appears only when it is complete."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from cdsed.dir_handle import whole_file


@contextmanager
def target(output: Path | None) -> Iterator[IO[bytes]]:
    """Yield stdout, or a file that appears under its name when it is complete and on the disk."""
    if output is None:
        yield cast("IO[bytes]", CountingStream(sys.stdout.buffer))
        sys.stdout.buffer.flush()
        return
    with whole_file(output) as file:
        yield file


class CountingStream:
    """A stream to which parquet can be written although it may be a pipe: it counts its position itself."""

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._position = 0

    def write(self, data: bytes) -> int:
        """Write all of the bytes."""
        self._position += len(data)
        return self._stream.write(data)

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self._position

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def writable(self) -> bool:
        """Return True."""
        return True

    def readable(self) -> bool:
        """Return False."""
        return False

    def seekable(self) -> bool:
        """Return False."""
        return False

    def close(self) -> None:
        """Leave stdout open."""
