"""Adding footprints to records: from the manifests on disk, or from the catalogue."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from cdsed.holdings.product_records import Record
from cdsed.model.families import family_by_beginning
from cdsed.model.manifest_footprint import footprint_of

_MANIFEST_BYTES_MAX = 32 * 1024 * 1024
_BATCH = 300


def from_disk(records: Iterable[Record]) -> Iterator[Record]:
    """Yield the records with the footprints that the manifests of the products state; only directories have one."""
    for record in records:
        yield record | {"footprint": _in_manifest(record)}


def from_catalogue(
    records: Iterable[Record], look_up: Callable[[Sequence[str]], Mapping[str, str | None]]
) -> Iterator[Record]:
    """Yield the records with the footprints of the catalogue, for many products at once.

    Parameters
    ----------
    look_up
        Returns the footprint as WKT for each of some names that the catalogue knows.
    """
    rest = iter(records)
    while batch := list(islice(rest, _BATCH)):
        known = look_up([record["name"] for record in batch])
        yield from (record | {"footprint": known.get(record["name"])} for record in batch)


def shapes_of(footprints: Sequence[str | None]) -> Any:
    """Return footprints as geometries of shapely, None where one is missing or cannot be read."""
    from cdsed.catalogue import footprint

    return footprint.footprints([{"Footprint": wkt and f"geography'SRID=4326;{wkt}'"} for wkt in footprints])


def _in_manifest(record: Record) -> str | None:
    manifest = family_by_beginning(record["name"]).mission.manifest
    if manifest is None or record["path"] is None:
        return None
    try:
        with Path(record["path"], manifest).open("rb") as file:
            data = file.read(_MANIFEST_BYTES_MAX + 1)
    except OSError:  # it is a zip, was taken away, or this user may not read it
        return None
    return footprint_of(data) if len(data) <= _MANIFEST_BYTES_MAX else None
