"""Listings that are parquet files, as `cdsed query --output x.parquet` and tables of others write them."""

import io
import os
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from cdsed.errors import InboxError
from cdsed.inbox.formats.records import Record, is_known, judge, key_of, record_of
from cdsed.inbox.source import LINE_BYTES_MAX, parquet_at
from cdsed.model.listing import ListingLine

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_ROWS_AT_ONCE = 1000
# Uncompressed, of the columns that are read: pyarrow holds those of one row group in memory.
_GROUP_BYTES_MAX = 256 * 1024 * 1024


def check_parquet(file: BinaryIO, name: str) -> None:
    """Check that a parquet file is complete and has products.

    Raises
    ------
    InboxError
        It is broken, too large, or a table of other things.
    """
    table = _open(file, name)
    columns = _columns(table)
    _check_size(table, columns, name)
    if not any(is_known(key_of(column)) for column in columns) and all(
        row.is_empty for row in islice(_rows(table, name), 100)
    ):
        raise InboxError(f"{name} is parquet without a column of products, such as name, Name or S3Path")


def read_parquet(file: BinaryIO, name: str, bucket: str) -> Iterator[ListingLine]:
    """Read the rows of a parquet file; they are numbered from 1.

    Raises
    ------
    InboxError
        It has changed since `check_parquet` read it, or is broken.
    """
    for number, row in enumerate(_rows(_open(file, name), name), start=1):
        yield from judge(number, row, row.text, bucket)


def _rows(table: "pq.ParquetFile", name: str) -> Iterator[Record]:
    import pyarrow as pa

    columns = _columns(table)
    try:
        for batch in table.iter_batches(batch_size=_ROWS_AT_ONCE, columns=columns, use_threads=False):
            for row in batch.to_pylist():
                yield record_of((key_of(header), text) for header, text in row.items() if isinstance(text, str))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InboxError(f"{name} is parquet that is broken") from error


def _columns(table: "pq.ParquetFile") -> list[str]:
    """Return the columns of texts."""
    import pyarrow as pa

    def is_text(kind: Any) -> bool:
        value: Any = kind.value_type if pa.types.is_dictionary(kind) else kind
        return bool(pa.types.is_string(value) or pa.types.is_large_string(value))

    return [field.name for field in table.schema_arrow if is_text(field.type)]


def _check_size(table: "pq.ParquetFile", columns: list[str], name: str) -> None:
    for number in range(table.num_row_groups):
        group = table.metadata.row_group(number)
        chunks = (group.column(position) for position in range(group.num_columns))
        size_bytes = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema in columns)
        if size_bytes > _GROUP_BYTES_MAX:
            raise InboxError(f"{name} is parquet with a row group of more than 256 MiB of texts; write smaller ones")


def _open(file: BinaryIO, name: str) -> "pq.ParquetFile":
    import pyarrow as pa
    import pyarrow.parquet as pq

    file.seek(0)
    begin = parquet_at(file.read(LINE_BYTES_MAX)) or 0
    try:
        return pq.ParquetFile(_From(file, begin), pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise InboxError(f"{name} is parquet that is broken or incomplete") from error


class _From(io.RawIOBase):
    """A file from a position onwards, because a line of options may precede the table."""

    def __init__(self, file: BinaryIO, begin: int) -> None:
        super().__init__()
        self._file = file
        self._begin = begin
        file.seek(begin)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        moved = self._file.seek(offset + (self._begin if whence == os.SEEK_SET else 0), whence)
        return moved - self._begin

    def tell(self) -> int:
        return self._file.tell() - self._begin

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        data = self._file.read(len(view))
        view[: len(data)] = data
        return len(data)
