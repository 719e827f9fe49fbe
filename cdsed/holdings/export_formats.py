"""The formats of an export, each written record by record, so that memory does not grow with their number."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from itertools import islice
from typing import IO, Any

from cdsed.holdings.product_records import COLUMNS, Record, plain

Writer = Callable[[Iterable[Record], IO[bytes]], int]
_BATCH = 5000


class ExportFormat(StrEnum):
    """The formats; `has_shapes`: whether it is of little use without footprints."""

    CSV = "csv"
    JSONL = "jsonl"
    GEOJSON = "geojson"
    GEOPARQUET = "geoparquet"
    STAC = "stac"

    @property
    def has_shapes(self) -> bool:
        """Whether it is of little use without footprints."""
        return self not in (ExportFormat.CSV, ExportFormat.JSONL)


def writer_of(form: ExportFormat) -> Writer:
    """Return the function that writes a format: it takes records and a binary file, and returns their number.

    Raises
    ------
    ImportError
        A library that this format needs is not installed.
    """
    match form:
        case ExportFormat.CSV:
            return write_csv
        case ExportFormat.JSONL:
            return write_jsonl
        case ExportFormat.GEOPARQUET:
            from cdsed.holdings.geoparquet import write_geoparquet

            return write_geoparquet
        case ExportFormat.STAC:
            from cdsed.holdings.stac import as_item

            return lambda records, file: _write_features(map(as_item, _with_shapes(records)), file)
    return lambda records, file: _write_features(map(_feature, _with_shapes(plain(records))), file)


def write_csv(records: Iterable[Record], file: IO[bytes]) -> int:
    """Write CSV: footprints as WKT, listings separated by ``;``, empty for what is not known."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for record in plain(records):
        writer.writerow([";".join(value) if isinstance(value, list) else value for value in record.values()])
        count += 1
    text.flush()
    text.detach()
    return count


def write_jsonl(records: Iterable[Record], file: IO[bytes]) -> int:
    """Write one JSON object a line, with null for what is not known."""
    count = 0
    for record in plain(records):
        file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
        count += 1
    return count


def _with_shapes(records: Iterable[Record]) -> Iterator[tuple[Record, dict[str, Any] | None]]:
    """Yield each record with its footprint as a GeoJSON geometry, cut at the antimeridian (RFC 7946)."""
    import shapely

    from cdsed.holdings.footprint_source import shapes_of

    rest = iter(records)
    while batch := list(islice(rest, _BATCH)):
        shapes = shapes_of([record["footprint"] for record in batch])
        for record, shape in zip(batch, shapes, strict=True):
            yield record, None if shape is None else json.loads(shapely.to_geojson(shape))


def _feature(pair: tuple[Record, dict[str, Any] | None]) -> dict[str, Any]:
    record, shape = pair
    properties = {name: value for name, value in record.items() if name != "footprint"}
    return {"type": "Feature", "id": record["name"], "geometry": shape, "properties": properties}


def _write_features(features: Iterable[dict[str, Any]], file: IO[bytes]) -> int:
    count = 0
    file.write(b'{"type": "FeatureCollection", "features": [')
    for feature in features:
        file.write(b",\n" if count else b"\n")
        file.write(json.dumps(feature, ensure_ascii=False).encode())
        count += 1
    file.write(b"\n]}\n")
    return count
