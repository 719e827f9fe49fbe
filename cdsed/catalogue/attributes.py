"""Attributes of products: the OData type of each, and conditions on them."""

import math
import re
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime
from enum import StrEnum

Value = str | int | float | bool | datetime


class AttributeType(StrEnum):
    """The types an attribute can have; the values are those of the catalogue."""

    STRING = "String"
    INTEGER = "Integer"
    DOUBLE = "Double"
    TIMESTAMP = "DateTimeOffset"
    BOOLEAN = "Boolean"


class Operator(StrEnum):
    """Comparisons of OData."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"


# From the catalogue's list of Sentinel-1 attributes, and from sample products of Sentinel-1 and -2.
_TEXTS = (
    "coordinates instrumentShortName operationalMode orbitDirection origin platformSerialIdentifier platformShortName "
    "polarisationChannels processingBaseline processingCenter processingLevel processorName processorVersion "
    "productClass productComposition productConsolidation productType swathIdentifier tileId timeliness"
)
_KNOWN = {
    **dict.fromkeys(_TEXTS.split(), AttributeType.STRING),
    "cloudCover": AttributeType.DOUBLE,
    "startTimeFromAscendingNode": AttributeType.DOUBLE,
    "completionTimeFromAscendingNode": AttributeType.DOUBLE,
    "datatakeID": AttributeType.INTEGER,
    "cycleNumber": AttributeType.INTEGER,
    "orbitNumber": AttributeType.INTEGER,
    "relativeOrbitNumber": AttributeType.INTEGER,
    "sliceNumber": AttributeType.INTEGER,
    "totalSlices": AttributeType.INTEGER,
    "instrumentConfigurationID": AttributeType.INTEGER,
    "sliceProductFlag": AttributeType.BOOLEAN,
    "beginningDateTime": AttributeType.TIMESTAMP,
    "endingDateTime": AttributeType.TIMESTAMP,
    "processingDate": AttributeType.TIMESTAMP,
    "productGeneration": AttributeType.TIMESTAMP,
    "segmentStartTime": AttributeType.TIMESTAMP,
}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_CONDITION = re.compile(
    r"\s*(?P<name>\w+)(?::(?P<type>\w+))?\s*"
    r"(?:\b(?P<word>eq|ne|lt|le|gt|ge)\b|(?P<sign><=|>=|!=|==?|<|>))\s*(?P<value>.+?)\s*",
    re.DOTALL,
)
_SIGNS = {"=": "eq", "==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
INTEGER_MAX = 2**63 - 1


@dataclass(frozen=True)
class AttributeFilter:
    """One condition on an attribute: the product has it, and the comparison of its value is true.

    Parameters
    ----------
    name
        The catalogue's name of the attribute, e.g. ``orbitNumber``.
    operator
        How the product's value is compared with `value`.
    value
        Text, whole number, number, boolean or a time with time zone: it gives the condition its OData type.
        A whole number becomes a Double where the attribute is known to be one.

    Raises
    ------
    ValueError
        The name is not valid, or the value has another type than the attribute, or a type that cannot be compared.
    """

    name: str
    operator: Operator
    value: Value

    def __post_init__(self) -> None:
        check_name(self.name)
        object.__setattr__(self, "operator", Operator(self.operator))
        if type_of(self.name) is AttributeType.DOUBLE and type(self.value) is int:
            object.__setattr__(self, "value", float(self.value))
        known = _KNOWN.get(self.name, self.type)
        if known is not self.type:
            raise ValueError(f"attribute {self.name} is of type {known}, and {self.value!r} is not")
        match self.value:
            case bool() if self.operator not in {Operator.EQ, Operator.NE}:
                raise ValueError(f"attribute {self.name}: a boolean can be compared by eq and ne only")
            case float() if not math.isfinite(self.value):
                raise ValueError(f"attribute {self.name}: {self.value} cannot be compared")
            case int() if abs(self.value) > INTEGER_MAX:
                raise ValueError(f"attribute {self.name}: {self.value} is too large a number")
            case datetime() if self.value.tzinfo is None:
                raise ValueError(f"attribute {self.name}: {self.value} needs a time zone; write Z for UTC")
            case datetime() if not 1 < self.value.year < MAXYEAR:
                raise ValueError(f"attribute {self.name}: {self.value} cannot be converted to UTC")

    @property
    def type(self) -> AttributeType:
        """The OData type of the value."""
        match self.value:
            case bool():  # an int, too
                return AttributeType.BOOLEAN
            case int():
                return AttributeType.INTEGER
            case float():
                return AttributeType.DOUBLE
            case datetime():
                return AttributeType.TIMESTAMP
            case str():
                return AttributeType.STRING
        raise ValueError(f"attribute {self.name}: a {type(self.value).__name__} cannot be compared")


def type_of(name: str) -> AttributeType:
    """Return the type of an attribute; String where its type is not known."""
    return _KNOWN.get(name, AttributeType.STRING)


def check_name(name: str) -> None:
    """Raise ValueError unless `name` can be the name of an attribute."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of an attribute")


def parse_condition(text: str) -> AttributeFilter:
    """Read a condition from text.

    Parameters
    ----------
    text
        ``name operator value``, the operator in OData's words or as ``= != < <= > >=``, e.g. ``orbitNumber >= 100``
        or ``timeliness eq 'NRT-3h'``. A value in quotes is text. Otherwise its type is the one given as in
        ``name:Double < 3``, or the attribute's known type, or a guess from the value.

    Raises
    ------
    ValueError
        It does not have this form, or the value is not of the attribute's type.
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a condition like 'orbitNumber >= 100'")
    name, value = match["name"], match["value"]
    operator = Operator(match["word"] or _SIGNS[match["sign"]])
    if match["type"]:
        kinds = {kind.lower(): kind for kind in AttributeType}
        if match["type"].lower() not in kinds:
            raise ValueError(f"{text!r}: the types are {', '.join(AttributeType)}")
        return AttributeFilter(name, operator, _value_of(name, value, kinds[match["type"].lower()]))
    if name in _KNOWN:
        return AttributeFilter(name, operator, _value_of(name, value, _KNOWN[name]))
    return AttributeFilter(name, operator, _guess(value))


def _value_of(name: str, text: str, kind: AttributeType) -> Value:
    try:
        return _value(text, kind)
    except ValueError:
        raise ValueError(f"attribute {name} is of type {kind}, and {text!r} is not") from None


def _value(text: str, kind: AttributeType) -> Value:
    match kind:
        case AttributeType.INTEGER:
            return int(text)
        case AttributeType.DOUBLE:
            return float(text)
        case AttributeType.BOOLEAN:
            if text.lower() not in {"true", "false"}:
                raise ValueError(f"{text!r} is neither true nor false")
            return text.lower() == "true"
        case AttributeType.TIMESTAMP:
            return parse_timestamp(text)
    return text[1:-1].replace("''", "'") if len(text) > 1 and text[0] == text[-1] == "'" else text


def _guess(text: str) -> Value:
    if text.startswith("'"):
        return _value(text, AttributeType.STRING)
    for kind in (AttributeType.INTEGER, AttributeType.DOUBLE, AttributeType.BOOLEAN, AttributeType.TIMESTAMP):
        try:
            return _value(text, kind)
        except ValueError:
            continue
    return text


def parse_timestamp(text: str) -> datetime:
    """Read an ISO 8601 date or time; without a zone it is UTC, as in the catalogue.

    Raises
    ------
    ValueError
        It is neither.
    """
    try:
        timestamp = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a date or time like 2024-06-04 or 2024-06-04T11:01:00Z") from None
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
