"""Items and collections of the STAC API, made from entries of the catalogue.

The form is that of items of CDSE (STAC 1.1, as its own tool ``eometadatatool`` writes them): ids without extension,
times, sensor and orbit in the properties, and the product as a zip. Of the files it has only the manifest.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import shapely

from cdsed.sandbox import tokens, zipper

VERSION = "1.1.0"
_EXTENSIONS = [
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in (
        "alternate-assets/v1.2.0",
        "authentication/v1.1.0",
        "file/v2.1.0",
        "processing/v1.2.0",
        "product/v1.0.0",
        "sat/v1.1.0",
        "storage/v2.0.0",
        "timestamps/v1.1.0",
    )
]
_EXTENSION = re.compile(r"\.(?:SAFE|SEN3|SEN6|nc)$")
_NEVER = "9999-01-01T00:00:00.000000Z"
_SOURCES = {"OL": "olci", "SL": "sl", "SR": "sr", "SY": "syn"}
_SPEED = {"NT": "ntc", "NR": "nrt", "ST": "stc"}
# A collection with the names of its products; `{…}` is filled with the words of the name.
_COLLECTIONS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"S1[A-Z]_WV_SLC_"), lambda _name: "sentinel-1-slc-wv"),
    (re.compile(r"S1[A-Z]_[A-Z0-9]{2}_(GRD|SLC|OCN)"), lambda name: f"sentinel-1-{name[1].lower()}"),
    (re.compile(r"S2[A-Z]_MSI(L1C|L2A)_"), lambda name: f"sentinel-2-{name[1].lower()}"),
    (
        re.compile(r"S3[A-Z_]_(OL|SL|SR|SY)_(\d)_(.{6})_.*_(NT|NR|ST)_\w{3}(?:\.|$)"),
        lambda name: f"sentinel-3-{_SOURCES[name[1]]}-{name[2]}-{_words(name[3])}-{_SPEED[name[4]]}",
    ),
    (
        re.compile(r"S5P_(OFFL|RPRO|NRTI)_L(\d).{2}(.{6})_"),
        lambda name: f"sentinel-5p-l{name[2]}-{_words(name[3])}-{name[1].lower()}",
    ),
)
_NUMBERS = {
    "orbitNumber": "sat:absolute_orbit",
    "relativeOrbitNumber": "sat:relative_orbit",
    "cycleNumber": "sat:orbit_cycle",
    "cloudCover": "eo:cloud_cover",
}


def collection_id(name: str) -> str | None:
    """Return the collection of a product, e.g. ``sentinel-2-l2a``; None when the API does not have its kind."""
    for pattern, identifier in _COLLECTIONS:
        match = pattern.match(name)
        if match:
            return identifier(match)
    return None


def item_id(name: str) -> str:
    """Return the id of an item: the name of the product without its extension."""
    return _EXTENSION.sub("", name)


def item(entry: Mapping[str, Any], url: str, api_url: str) -> dict[str, Any]:
    """Return the item of a product.

    Parameters
    ----------
    entry
        The entry of the catalogue with its attributes.
    url, api_url
        The addresses of the sandbox, and of its STAC API.
    """
    identifier, collection = item_id(entry["Name"]), collection_id(entry["Name"])
    place = f"{api_url}/collections/{collection}"
    geometry = entry.get("GeoFootprint")
    whole: dict[str, Any] = {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": _EXTENSIONS,
        "id": identifier,
        "collection": collection,
        "properties": _properties(entry, url),
        "geometry": geometry,
        "links": [
            link("collection", place),
            link("parent", place),
            link("root", f"{api_url}/"),
            link("self", f"{place}/items/{identifier}", "application/geo+json"),
        ],
        "assets": _assets(entry, url),
    }
    if geometry:
        whole["bbox"] = list(shapely.geometry.shape(geometry).bounds)
    if "netcdf" not in whole["assets"]:
        folder = {"title": "S3 path to source directory", "auth:refs": ["s3"], "storage:refs": ["cdse-s3"]}
        whole["links"].append({**link("enclosure", f"{_s3(entry)}/", "application/x-directory"), **folder})
    return whole


def collection(identifier: str, api_url: str) -> dict[str, Any]:
    """Return a collection; its extents are those of the archive."""
    place = f"{api_url}/collections/{identifier}"
    return {
        "type": "Collection",
        "stac_version": VERSION,
        "stac_extensions": [],
        "id": identifier,
        "title": identifier,
        "description": f"Products of {identifier} in the sandbox.",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["2014-10-03T00:00:00Z", None]]},
        },
        "links": [
            link("items", f"{place}/items", "application/geo+json"),
            link("parent", f"{api_url}/"),
            link("root", f"{api_url}/"),
            link("self", place),
        ],
    }


def _properties(entry: Mapping[str, Any], url: str) -> dict[str, Any]:
    given = {each["Name"]: each["Value"] for each in entry.get("Attributes") or ()}
    constellation = str(given.get("platformShortName", "")).lower()
    date = entry["ContentDate"]
    values = {
        "created": entry.get("OriginDate"),
        "updated": entry.get("ModificationDate"),
        "published": entry.get("PublicationDate"),
        "eopf:origin_datetime": entry.get("OriginDate"),
        "datetime": date["Start"],
        "start_datetime": date["Start"],
        "end_datetime": date["End"],
        "platform": f"{constellation}{str(given.get('platformSerialIdentifier', '')).lower()}",
        "constellation": constellation,
        "instruments": str(given.get("instrumentShortName", "")).lower().split(),
        "processing:level": _level(str(given.get("processingLevel", ""))),
        "processing:datetime": given.get("processingDate"),
        "processing:version": given.get("processorVersion"),
        "product:type": str(given.get("productType", "")).removesuffix("-COG"),
        "product:timeliness_category": given.get("timeliness") or given.get("processingMode"),
        "sat:orbit_state": str(given.get("orbitDirection", "")).lower(),
        "grid:code": f"MGRS-{given['tileId']}" if "tileId" in given else None,
        "expires": _NEVER,
        "auth:schemes": {
            "s3": {"type": "s3"},
            "oidc": {
                "type": "openIdConnect",
                "openIdConnectUrl": f"{url}{tokens.REALM}/.well-known/openid-configuration",
            },
        },
        "storage:schemes": {
            "cdse-s3": {
                "title": "Copernicus Data Space Ecosystem S3",
                "platform": url,
                "requester_pays": False,
                "type": "custom-s3",
            }
        },
    }
    if constellation == "sentinel-1":
        values["sar:instrument_mode"] = given.get("operationalMode")
        values["sar:polarizations"] = str(given.get("polarisationChannels", "")).split("&")
    values |= {name: given.get(attribute) for attribute, name in _NUMBERS.items()}
    return {name: value for name, value in values.items() if value not in (None, "", [])}


def _assets(entry: Mapping[str, Any], url: str) -> dict[str, Any]:
    name, product_url = entry["Name"], f"{url}{zipper.DOWNLOAD_PATH}/Products({entry['Id']})"
    if name.endswith(".nc"):
        netcdf = _file(_s3(entry), f"{product_url}/Nodes({name})/$value", name)
        return {"netcdf": {**netcdf, "type": "application/netcdf", "roles": ["data"], **_digest(entry)}}
    manifest = "xfdumanifest.xml" if name.endswith(".SEN3") else "manifest.safe"
    node = f"{product_url}/Nodes({name})/Nodes({manifest})/$value"
    metadata = _file(f"{_s3(entry)}/{manifest}", node, f"{name}/{manifest}")
    product = {
        "type": "application/zip",
        "title": "Zipped product",
        "roles": ["data", "metadata", "archive"],
        "file:local_path": f"{name}.zip",
        "href": f"{product_url}/$value",
        "auth:refs": ["oidc"],
        **_digest(entry),
    }
    return {
        "xfdumanifest" if manifest.startswith("xfdu") else "safe_manifest": {
            **metadata,
            "type": "application/xml",
            "title": manifest,
            "roles": ["metadata"],
        },
        "Product" if name.startswith("S2") else "product": product,
    }


def _file(s3_url: str, https_url: str, local_path: str) -> dict[str, Any]:
    return {
        "href": s3_url,
        "file:local_path": local_path,
        "alternate:name": "S3",
        "auth:refs": ["s3"],
        "storage:refs": ["cdse-s3"],
        "alternate": {
            "https": {"href": https_url, "alternate:name": "HTTPS", "auth:refs": ["oidc"], "storage:refs": []}
        },
    }


def _digest(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the size of what is delivered, and its MD5 as a multihash where the catalogue has one."""
    digests = [each["Value"] for each in entry.get("Checksum") or () if each.get("Algorithm") == "MD5"]
    return {"file:size": entry.get("ContentLength")} | ({"file:checksum": f"d50110{digests[0]}"} if digests else {})


def _s3(entry: Mapping[str, Any]) -> str:
    return f"s3:/{entry.get('S3Path') or ''}"


def link(rel: str, href: str, media_type: str = "application/json") -> dict[str, Any]:
    """Return a link of a STAC document."""
    return {"rel": rel, "href": href, "type": media_type}


def _level(text: str) -> str | None:
    digit = re.search(r"\d", text)
    return f"L{digit[0]}" if digit else None


def _words(text: str) -> str:
    """Return ``aer-ai`` for ``AER_AI`` and ``no2`` for ``_NO2__``."""
    return "-".join(word for word in text.lower().split("_") if word)
