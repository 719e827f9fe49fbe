"""Whole rows of the catalogue for names and ids, and as tables with the columns of cdsodatacli."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from cdsed.catalogue.batch_query import BatchQuery
from cdsed.catalogue.footprint import GEOPARQUET_METADATA, footprints
from cdsed.catalogue.names import Names, condition
from cdsed.catalogue.odata_client import ODataClient
from cdsed.errors import ServiceError

Entry = Mapping[str, Any]

#: The columns of the catalogue, in its order. `Checksum` to `Attributes` are JSON, but for the text `Footprint`.
ROW_COLUMNS = (
    *("@odata.mediaContentType", "Id", "Name", "ContentType", "ContentLength", "OriginDate", "PublicationDate"),
    *("ModificationDate", "Online", "EvictionDate", "S3Path", "Checksum", "ContentDate", "Footprint", "GeoFootprint"),
    "Attributes",
)
#: The columns that cdsodatacli's ``get-metadata-from-product-names`` writes.
COLUMNS_OF_NAMES = (*ROW_COLUMNS, "geometry_wkt")


@dataclass(slots=True)
class FoundMetadata:
    """The rows by the name or id that was asked for, and for each of the others why it has none."""

    rows: dict[str, Entry] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


class MetadataLookup:
    """Looks whole rows up, with their attributes.

    Parameters
    ----------
    service
        The catalogue.
    per_filter
        Names in one request at most.
    """

    def __init__(self, service: ODataClient, *, per_filter: int) -> None:
        self._service = service
        self._query = BatchQuery(service, "Products", per_filter, expand="Attributes")
        self._names = Names(service, per_filter=per_filter)

    def look_up(self, asked: Sequence[str]) -> FoundMetadata:
        """Return the rows of names and ids; of a name with several rows the newest one that can be fetched.

        Raises
        ------
        ServiceError
            The catalogue could not be asked. This does not mean that a product is unknown.
        """
        found = FoundMetadata(self._rows(asked))
        missing = [each for each in asked if each not in found.rows]
        if not missing:
            return found
        facts = self._names.look_up(missing)  # with or without an extension, deleted, or unknown
        ids = {each: entry.product_id for each, entry in facts.found.items()}
        by_id = self._rows(list(ids.values()))
        found.rows |= {each: by_id[number] for each, number in ids.items() if number in by_id}
        for each in missing:
            if each not in found.rows:
                absence = facts.absence(each)
                found.absent[each] = absence.cause if absence else "it left the catalogue meanwhile"
        return found

    def _rows(self, asked: Sequence[str]) -> dict[str, Entry]:
        best: dict[str, Entry] = {}
        wanted = {each.lower() for each in asked}
        for page in self._query.pages([condition(each) for each in asked]):
            for row in self._checked(page):
                keys = {str(row["Name"]), str(row["Id"]).lower()}
                if not {key.lower() for key in keys} & wanted:
                    raise ServiceError(f"{self._service.url}: a response to another request", code="InvalidResponse")
                for key in keys:
                    if key not in best or _rank(best[key]) < _rank(row):
                        best[key] = row
        return {each: best[key] for each in asked if (key := each if each in best else each.lower()) in best}

    def _checked(self, page: Mapping[str, Any]) -> list[Entry]:
        rows = page.get("value")
        if isinstance(rows, list) and all(
            isinstance(row, dict) and isinstance(row.get("Id"), str) and isinstance(row.get("Name"), str)
            for row in rows
        ):
            return rows
        raise ServiceError(f"{self._service.url}: a response that is not as documented", code="InvalidResponse")


def _rank(row: Entry) -> tuple[bool, str]:
    return bool(row.get("Online") and row.get("S3Path")), str(row.get("ModificationDate"))


def as_texts(rows: Sequence[Entry]) -> Iterator[dict[str, str | None]]:
    """Yield rows as text: what is a list or a mapping as JSON, and the footprint as WKT in ``geometry_wkt``."""
    shapes = shapely.to_wkt(footprints(rows), rounding_precision=-1)
    for row, shape in zip(rows, shapes, strict=True):
        yield {name: _text(row.get(name)) for name in ROW_COLUMNS} | {"geometry_wkt": shape}


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def write_parquet(batches: Iterable[Sequence[Entry]], file: IO[bytes]) -> int:
    """Write rows as GeoParquet, batch by batch: sizes as numbers, ``Online`` as a truth value; return their number."""
    types = {"ContentLength": pa.int64(), "Online": pa.bool_()}
    schema = pa.schema(
        [*(pa.field(name, types.get(name, pa.string())) for name in ROW_COLUMNS), pa.field("geometry", pa.binary())],
        metadata=GEOPARQUET_METADATA,
    )
    count = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for rows in batches:
            columns = {name: [_text(row.get(name)) for row in rows] for name in ROW_COLUMNS}
            columns["ContentLength"] = [row.get("ContentLength") for row in rows]
            columns["Online"] = [row.get("Online") for row in rows]
            arrays = [pa.array(columns[name], schema.field(name).type) for name in ROW_COLUMNS]
            shapes = pa.array(list(shapely.to_wkb(footprints(rows))), pa.binary())
            writer.write_table(pa.Table.from_arrays([*arrays, shapes], schema=schema))
            count += len(rows)
    return count
