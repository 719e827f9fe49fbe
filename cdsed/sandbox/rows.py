"""Rows of the catalogue: loaded entries, and entries that are made from facts when they are read."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import shapely
from shapely.geometry.base import BaseGeometry

from cdsed.sandbox.attributes import attributes
from cdsed.sandbox.entries import Delivered, EntryFacts, entry, expansion, made_geometry
from cdsed.sandbox.names import parse_name
from cdsed.sandbox.odatafilter import ATTRIBUTE_KINDS, Value
from cdsed.sandbox.timestamps import nanoseconds, timestamp_ns

# The fields of a filter, and the kind as which each is compared.
FIELD_KINDS = {
    "Id": "id",
    "Name": "text",
    "ContentType": "text",
    "ContentLength": "number",
    "OriginDate": "timestamp",
    "PublicationDate": "timestamp",
    "ModificationDate": "timestamp",
    "Online": "boolean",
    "EvictionDate": "timestamp",
    "S3Path": "text",
    "ContentDate/Start": "timestamp",
    "ContentDate/End": "timestamp",
    "Collection/Name": "text",
}
# The fields that the entry of a deleted product does not have.
GONE_WHEN_DELETED = ("PublicationDate", "ModificationDate", "Online", "EvictionDate", "S3Path")
DELETED_FIELD_KINDS = {
    **{field: kind for field, kind in FIELD_KINDS.items() if field not in GONE_WHEN_DELETED},
    "DeletionDate": "timestamp",
    "DeletionCause": "text",
}
EXPANSIONS = ("Attributes", "Assets", "Locations")
_FACTS: dict[str, Callable[[EntryFacts], Value]] = {
    "Name": lambda facts: facts.name,
    "Id": lambda facts: facts.product_id,
    "Online": lambda facts: facts.online,
    "ContentDate/End": lambda facts: nanoseconds(facts.end),
    "PublicationDate": lambda facts: nanoseconds(facts.published),
    "ModificationDate": lambda facts: nanoseconds(facts.modified),
    "Collection/Name": lambda facts: collection_of(facts.s3_path, facts.safename),
}
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "timestamp": (str,),
}


class Row(Protocol):
    """A product of the catalogue; also the record that a filter tests."""

    start_ns: int

    @property
    def name(self) -> str:
        """Return the safename."""

    @property
    def product_id(self) -> str:
        """Return the id, in lower case."""

    @property
    def is_deleted(self) -> bool:
        """Return whether it was taken out of the catalogue."""

    def value(self, path: str) -> Value:
        """Return one of the fields of `FIELD_KINDS` as it is compared."""

    def attributes(self, type_name: str) -> Iterable["AttributeRecord"]:
        """Yield the attributes of one type."""

    def geometry(self) -> BaseGeometry | None:
        """Return the footprint in degrees."""

    def entry(self, expand: Iterable[str]) -> dict[str, Any]:
        """Return the entry for JSON, with the fields of `expand`."""


@dataclass(frozen=True)
class AttributeRecord:
    """One attribute, as a record for a filter."""

    attribute: Mapping[str, Any]

    def value(self, path: str) -> Value:
        """Return ``Name`` or ``Value``; None if the value is not of its declared type, which occurs in CDSE."""
        if path == "Name":
            return str(self.attribute["Name"])
        kind = ATTRIBUTE_KINDS[self.attribute["ValueType"]]
        if not isinstance(self.attribute["Value"], _PYTHON_TYPES[kind]):
            return None
        value: Any = self.attribute["Value"]
        result: Value = timestamp_ns(value) if kind == "timestamp" else value
        return result

    def attributes(self, _type_name: str) -> Iterable["AttributeRecord"]:
        """Yield nothing: an attribute does not have attributes."""
        return ()

    def geometry(self) -> None:
        """Return None: an attribute does not have a geometry."""


def collection_of(s3_path: str, name: str) -> str:
    """Return the collection, e.g. ``SENTINEL-1``, of a path or else of a name."""
    folder = s3_path.removeprefix("/eodata/").partition("/")[0]
    if folder.startswith("Sentinel-"):
        return folder.upper()
    return "SENTINEL-5P" if name.startswith("S5P") else f"SENTINEL-{name[1:2]}"


class LoadedRow:
    """A loaded entry, which is returned unchanged.

    Parameters
    ----------
    whole
        The JSON object, with the fields that can be expanded.

    Raises
    ------
    ValueError
        It lacks a required field.
    """

    def __init__(self, whole: Mapping[str, Any]) -> None:
        missing = [field for field in ("Id", "Name", "ContentDate") if not whole.get(field)]
        if missing:
            raise ValueError(f"an entry needs {' and '.join(missing)}: {whole.get('Name') or dict(whole)}")
        self.start_ns = timestamp_ns(whole["ContentDate"].get("Start", ""))
        self._whole = whole

    @property
    def name(self) -> str:
        """Return the safename."""
        return str(self._whole["Name"])

    @property
    def product_id(self) -> str:
        """Return the id, in lower case."""
        return str(self._whole["Id"]).lower()

    @property
    def is_deleted(self) -> bool:
        """Return whether it was taken out of the catalogue."""
        return "DeletionDate" in self._whole

    def value(self, path: str) -> Value:
        """Return a field as it is compared."""
        if path == "Collection/Name":
            return collection_of(self._whole.get("S3Path") or "", self.name)
        return _typed(self._whole, path)

    def attributes(self, type_name: str) -> Iterable[AttributeRecord]:
        """Yield the attributes of one type."""
        return _records(self._whole.get("Attributes") or (), type_name)

    def geometry(self) -> BaseGeometry | None:
        """Return the footprint in degrees."""
        return self._geometry

    @cached_property
    def _geometry(self) -> BaseGeometry | None:
        footprint = self._whole.get("GeoFootprint")
        if footprint:
            return shapely.geometry.shape(footprint)
        text = self._whole.get("Footprint")
        return shapely.from_wkt(text.partition(";")[2].rstrip("'")) if text else None

    def entry(self, expand: Iterable[str]) -> dict[str, Any]:
        """Return the loaded entry without the fields that are not in `expand`."""
        hidden = set(EXPANSIONS).difference(expand)
        return {field: value for field, value in self._whole.items() if field not in hidden}


class MadeRow:
    """An entry that is made when it is read.

    Parameters
    ----------
    facts
        The facts of the product.
    delivery
        Returns length and MD5 of what ``$value`` would deliver.
    """

    __slots__ = ("_delivery", "_facts", "start_ns")

    def __init__(self, facts: EntryFacts, delivery: Callable[[], Delivered]) -> None:
        self.start_ns = nanoseconds(facts.start)
        self._facts = facts
        self._delivery = delivery

    @property
    def name(self) -> str:
        """Return the name in the catalogue."""
        return self._facts.name

    @property
    def product_id(self) -> str:
        """Return the id."""
        return self._facts.product_id

    @property
    def is_deleted(self) -> bool:
        """Return whether it was taken out of the catalogue."""
        return self._facts.deletion is not None

    def value(self, path: str) -> Value:
        """Return a field as it is compared; frequent fields are returned without making the whole entry."""
        if path == "ContentDate/Start":
            return self.start_ns
        read = _FACTS.get(path)
        return read(self._facts) if read else _typed(self.entry(()), path)

    def attributes(self, type_name: str) -> Iterable[AttributeRecord]:
        """Yield the attributes of one type."""
        return _records(attributes(parse_name(self._facts.safename), self._facts.start, self._facts.end), type_name)

    def geometry(self) -> BaseGeometry | None:
        """Return the footprint in degrees."""
        return made_geometry(self._facts)

    def entry(self, expand: Iterable[str]) -> dict[str, Any]:
        """Return the entry."""
        whole = entry(self._facts, self._delivery())
        return whole | {what: expansion(what, self._facts, whole) for what in expand}


def _records(given: Iterable[Mapping[str, Any]], type_name: str) -> Iterator[AttributeRecord]:
    """Yield the attributes of one type."""
    return (AttributeRecord(attribute) for attribute in given if attribute.get("ValueType") == type_name)


def _typed(whole: Mapping[str, Any], path: str) -> Value:
    """Return a field as it is compared; an empty time becomes None."""
    head, _slash, tail = path.partition("/")
    value = whole.get(head)
    if tail:
        value = value.get(tail) if value else None
    kind = {**FIELD_KINDS, **DELETED_FIELD_KINDS}[path]
    if kind == "timestamp":
        return timestamp_ns(value) if value else None
    result: Value = value.lower() if kind == "id" and value else value
    return result
