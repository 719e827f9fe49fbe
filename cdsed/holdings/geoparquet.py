"""An export as GeoParquet 1.1: footprints as WKB, times and numbers with their types."""

from collections.abc import Iterable
from itertools import islice
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from cdsed.catalogue.footprint import GEOPARQUET_METADATA
from cdsed.holdings.footprint_source import shapes_of
from cdsed.holdings.product_records import COLUMNS, NUMBERS, TIMES, Record

_ROWS_PER_GROUP = 20_000
_TYPES = {
    **dict.fromkeys(NUMBERS, pa.int64()),
    **dict.fromkeys(TIMES, pa.timestamp("us", tz="UTC")),
    "listings": pa.list_(pa.string()),
}
_PLAIN = tuple(name for name in COLUMNS if name != "footprint")
_SCHEMA = pa.schema(
    [*(pa.field(name, _TYPES.get(name, pa.string())) for name in _PLAIN), pa.field("geometry", pa.binary())],
    metadata=GEOPARQUET_METADATA,
)


def write_geoparquet(records: Iterable[Record], file: IO[bytes]) -> int:
    """Write the records in row groups; return their number."""
    count = 0
    rest = iter(records)
    with pq.ParquetWriter(file, _SCHEMA, compression="zstd") as writer:
        while batch := list(islice(rest, _ROWS_PER_GROUP)):
            writer.write_table(_table(batch))
            count += len(batch)
    return count


def _table(batch: list[Record]) -> pa.Table:
    columns = {name: [record[name] for record in batch] for name in _PLAIN}
    for name in TIMES:
        columns[name] = [None if at is None else round(at * 1_000_000) for at in columns[name]]
    shapes = shapely.to_wkb(shapes_of([record["footprint"] for record in batch]))
    arrays = [pa.array(columns[name], _SCHEMA.field(name).type) for name in _PLAIN]
    return pa.Table.from_arrays([*arrays, pa.array(list(shapes), pa.binary())], schema=_SCHEMA)
