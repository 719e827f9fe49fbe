"""An export as a STAC item collection, made with pystac."""

import json
from datetime import UTC, datetime
from typing import Any

import pystac
import shapely

from cdsed.clock import iso
from cdsed.holdings.product_records import Record
from cdsed.model.safename import Safename, parse

_FILE_EXTENSION = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
_MD5_MULTIHASH = "d50110"  # code and length, see https://github.com/multiformats/multicodec
_IN_PROPERTIES = ("state", "group", "listings", "attempts", "product_id", "source_path", "source_path_from", "cause")


def as_item(pair: tuple[Record, dict[str, Any] | None]) -> dict[str, Any]:
    """Return a record and its geometry as a STAC item.

    The time is that of the sensing, as the name states it; else that of the record. What cdsed knows is in properties
    ``cdsed:…``, the product is the asset ``product``.
    """
    record, shape = pair
    name = parse(record["name"])
    start, stop = _utc(name.start), _utc(name.stop)
    properties: dict[str, Any] = {f"cdsed:{key}": record[key] for key in _IN_PROPERTIES if record[key] is not None}
    if record["asked_at"] is not None:
        properties["cdsed:asked_at"] = iso(record["asked_at"])
    if record["published_at"] is not None:
        properties["cdsed:published_at"] = iso(record["published_at"])
    if start and stop:
        properties |= {"start_datetime": _text(start), "end_datetime": _text(stop)}
    if name.unit:
        properties["platform"] = f"sentinel-{name.unit[1:].lower()}"
    item = pystac.Item(
        id=name.stem,
        geometry=shape,
        bbox=None if shape is None else list(shapely.from_geojson(json.dumps(shape)).bounds),
        datetime=start or datetime.fromtimestamp(record["changed_at"], UTC),
        properties=properties,
        stac_extensions=[_FILE_EXTENSION],
    )
    if record["path"] is not None:
        item.add_asset("product", _asset(record, name))
    return dict(item.to_dict(include_self_link=False, transform_hrefs=False))


def _asset(record: Record, name: Safename) -> pystac.Asset:
    extra: dict[str, Any] = {}
    if record["size_bytes"] is not None:
        extra["file:size"] = record["size_bytes"]
    if record["md5"] is not None:
        extra["file:checksum"] = _MD5_MULTIHASH + record["md5"]
    return pystac.Asset(href=record["path"], title=name.name, roles=["data"], extra_fields=extra)


def _utc(at: datetime | None) -> datetime | None:
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
