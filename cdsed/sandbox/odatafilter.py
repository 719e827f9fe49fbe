"""``$filter`` of OData as a predicate over records: parsed with the grammar of odata-query, evaluated here.

It accepts only what the catalogue of CDSE accepts: comparisons of a field with a literal of its own type, ``in``,
``contains``, ``startswith``, ``endswith``, ``and``, ``or``, ``not``, ``Attributes/…/any(…)`` and
``OData.CSC.Intersects``. Source: documentation of CDSE, "OData", filter option.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from odata_query import ast
from odata_query.exceptions import ODataException
from odata_query.grammar import ODataLexer, ODataParser
from shapely.geometry.base import BaseGeometry

from cdsed.sandbox.attributes import class_of
from cdsed.sandbox.odataarea import meets, read_area
from cdsed.sandbox.timestamps import timestamp_ns

Value = str | int | float | bool | None
# Types of the attributes -> the kind as which their values are compared.
ATTRIBUTE_KINDS = {
    "String": "text",
    "Integer": "number",
    "Double": "number",
    "Boolean": "boolean",
    "DateTimeOffset": "timestamp",
}
_COMPARISONS: dict[type, Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_TEXT_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "contains": operator.contains,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_TEXT = r"'(?:[^']|'')*'"
# A name with its namespace. Texts are skipped.
_QUALIFIED = re.compile(rf"{_TEXT}|(?<![\w.])(?P<namespace>(?:[A-Za-z_]\w*\.)*)(?P<name>[A-Za-z_]\w*)(?P<call>\s*\()?")
_NAMESPACE = "OData.CSC."
# Two forms that the grammar does not accept: `not(` without a blank, and a list of one.
_REWRITTEN = re.compile(rf"{_TEXT}|\b(?P<no>not)\(|(?P<within>\bin\s*\(\s*(?:{_TEXT}|[^'(),\s]+))\s*\)", re.IGNORECASE)


class FilterError(ValueError):
    """The filter is malformed, or uses a field or function that the catalogue does not have."""


class FilterRecord(Protocol):
    """A record that a filter can test."""

    def value(self, path: str) -> Value:
        """Return a field: times as nanoseconds since the epoch, ids in lower case; None where it is absent."""

    def attributes(self, type_name: str) -> Iterable["FilterRecord"]:
        """Yield the attributes of one type, e.g. ``String``: records with the fields ``Name`` and ``Value``."""

    def geometry(self) -> BaseGeometry | None:
        """Return the footprint, in degrees."""


Predicate = Callable[[FilterRecord], bool]


@dataclass(frozen=True)
class Filter:
    """A filter, and conditions that let an index skip records.

    Parameters
    ----------
    text
        The original text.
    matches
        Returns whether a record is selected.
    among
        Only records whose field (``Name``, ``Id``) is one of these can match.
    from_ns, to_ns
        Only records whose ``ContentDate/Start`` is in between, both included, can match.
    """

    text: str
    matches: Predicate
    among: Mapping[str, frozenset[Value]]
    from_ns: int | None = None
    to_ns: int | None = None


def parse_filter(text: str, kinds: Mapping[str, str]) -> Filter:
    """Return the filter of `text`; an empty one selects everything.

    Parameters
    ----------
    text
        The decoded value of ``$filter``.
    kinds
        The fields that can be filtered, with ``text``, ``number``, ``boolean``, ``timestamp`` or ``id``.

    Raises
    ------
    FilterError
        It is malformed, or a field does not exist or is compared with a literal of another type.
    """
    if not text.strip():
        return Filter(text, lambda _record: True, {})
    _check_namespaces(text)
    try:
        tree = ODataParser().parse(ODataLexer().tokenize(_REWRITTEN.sub(_rewrite, text.strip())))
        among: dict[str, frozenset[Value]] = {}
        bounds: dict[str, int] = {}
        scope = _Scope(kinds)
        parts = [scope.predicate(part) for part in _chain(tree, ast.And)]
        for part in _chain(tree, ast.And):
            scope.hint(part, among, bounds)
    except (ODataException, RecursionError) as error:
        raise FilterError(str(error)) from error
    return Filter(text, _all(parts), among, bounds.get("from"), bounds.get("to"))


def _check_namespaces(text: str) -> None:
    """Refuse a type or field in a wrong namespace: the grammar drops that of paths, and keeps that of functions."""
    for match in _QUALIFIED.finditer(text):
        name = match["name"] or ""
        is_type = name.removesuffix("Attribute") in ATTRIBUTE_KINDS and name.endswith("Attribute")
        if match["namespace"] != _NAMESPACE if is_type else match["namespace"] and not match["call"]:
            raise FilterError(f"no type or field {match['namespace']}{name}")


def _rewrite(match: re.Match[str]) -> str:
    if match["no"]:
        return "not ("
    return f"{match['within']},)" if match["within"] else match[0]


def _chain(tree: Any, operation: type) -> list[Any]:
    """Return the operands of ``a or b or c …`` in a loop: recursion would fail at some hundreds."""
    operands, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.BoolOp) and isinstance(node.op, operation):
            waiting += [node.right, node.left]
        else:
            operands.append(node)
    return operands


@dataclass(frozen=True)
class _Scope:
    """The scope of field names: a product, or after `variable` an attribute of `attribute_type`."""

    kinds: Mapping[str, str]
    variable: str = ""
    attribute_type: str = ""

    def predicate(self, node: Any) -> Predicate:
        match node:
            case ast.BoolOp(op=ast.And()):
                return _all([self.predicate(part) for part in _chain(node, ast.And)])
            case ast.BoolOp():
                return self._either(_chain(node, ast.Or))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.predicate(operand)
                return lambda record: not inner(record)
            case ast.Compare(comparator=ast.In()):
                return _one_of(*self._choice(node))
            case ast.Compare():
                return self._comparison(node)
            case ast.Call(func=function, args=arguments):
                return self._call(".".join((*function.namespace, function.name)), arguments)
            case ast.CollectionLambda(operator=ast.Any()) if not self.variable:
                return self._any(node)
        raise FilterError(f"{_name(node)} is not a condition")

    def hint(self, node: Any, among: dict[str, frozenset[Value]], bounds: dict[str, int]) -> None:
        """Note the limits that a required condition sets for names, ids and the start."""
        choice = self._common_choice(_chain(node, ast.Or))
        if choice and choice[0] in {"Name", "Id"}:
            among[choice[0]] = choice[1] & among.get(choice[0], choice[1])
        elif isinstance(node, ast.Compare) and _is(node.left, "ContentDate/Start"):
            if isinstance(node.right, ast.Null | ast.List):
                return
            timestamp = self._literal(node.right, "timestamp")
            assert isinstance(timestamp, int)
            if isinstance(node.comparator, ast.Gt | ast.GtE | ast.Eq):
                bounds["from"] = max(timestamp, bounds.get("from", timestamp))
            if isinstance(node.comparator, ast.Lt | ast.LtE | ast.Eq):
                bounds["to"] = min(timestamp, bounds.get("to", timestamp))

    def _either(self, parts: list[Any]) -> Predicate:
        choice = self._common_choice(parts)
        if choice:
            return _one_of(*choice)
        alternatives = [self.predicate(part) for part in parts]
        return lambda record: any(alternative(record) for alternative in alternatives)

    def _common_choice(self, parts: list[Any]) -> tuple[str, frozenset[Value]] | None:
        """Return ``a eq 1 or a eq 2 or …`` as one choice; None if it has another form."""
        choices = [self._choice(part) for part in parts if _is_choice(part)]
        if len(choices) < len(parts) or len({path for path, _values in choices}) > 1:
            return None
        return choices[0][0], frozenset().union(*(values for _path, values in choices))

    def _choice(self, node: Any) -> tuple[str, frozenset[Value]]:
        path, kind = self._field(node.left)
        literals = node.right.val if isinstance(node.right, ast.List) else [node.right]
        return path, frozenset(self._literal(literal, kind) for literal in literals)

    def _comparison(self, node: Any) -> Predicate:
        path, kind = self._field(node.left)
        wanted = self._literal(node.right, kind)
        if isinstance(node.comparator, ast.Eq):
            if self.variable and isinstance(wanted, str):
                return lambda record: wanted in ((value := record.value(path)), class_of(value))
            return lambda record: record.value(path) == wanted
        if isinstance(node.comparator, ast.NotEq):
            return lambda record: record.value(path) != wanted
        compare = _COMPARISONS[type(node.comparator)]
        if kind in {"boolean", "id"} or wanted is None:
            raise FilterError(f"{path} has no order")

        def matches(record: FilterRecord) -> bool:
            value = record.value(path)
            return value is not None and compare(value, wanted)

        return matches

    def _call(self, function: str, arguments: list[Any]) -> Predicate:
        if function == "OData.CSC.Intersects" and not self.variable:
            return _intersects(arguments)
        if function not in _TEXT_FUNCTIONS:
            raise FilterError(f"no function {function}")
        path, kind = self._field(arguments[0])
        wanted = self._literal(arguments[1], kind)
        if not isinstance(wanted, str) or kind != "text":
            raise FilterError(f"{function} needs texts, not {path}")
        compare = _TEXT_FUNCTIONS[function]

        def matches(record: FilterRecord) -> bool:
            value = record.value(path)
            return isinstance(value, str) and compare(value, wanted)

        return matches

    def _any(self, node: Any) -> Predicate:
        type_name = node.owner.attr.removesuffix("Attribute") if isinstance(node.owner, ast.Attribute) else ""
        if not _is(node.owner, f"Attributes/{type_name}Attribute") or type_name not in ATTRIBUTE_KINDS:
            raise FilterError(f"no attributes {_name(node.owner)}")
        if node.lambda_ is None:
            raise FilterError("any() needs a condition")
        kinds = {"Name": "text", "Value": ATTRIBUTE_KINDS[type_name]}
        inner = _Scope(kinds, node.lambda_.identifier.name, type_name).predicate(node.lambda_.expression)
        return lambda record: any(inner(attribute) for attribute in record.attributes(type_name))

    def _field(self, node: Any) -> tuple[str, str]:
        """Return path and kind of a field; after a variable with or without the cast to its own type."""
        path = _name(node)
        if self.variable:
            variable, _slash, path = path.partition("/")
            path = path.removeprefix(f"{self.attribute_type}Attribute/")
            if variable != self.variable:
                path = f"{variable}/{path}"
        if path not in self.kinds:
            raise FilterError(f"no field {_name(node)}")
        return path, self.kinds[path]

    def _literal(self, node: Any, kind: str) -> Value:
        match node:
            case ast.Null():
                return None
            case ast.String(val=text) if kind == "text":
                return str(text)
            case ast.GUID(val=text) if kind == "id":
                return str(text).lower()
            case ast.Boolean() if kind == "boolean":
                return bool(node.py_val)
            case ast.Integer() | ast.Float() if kind == "number":
                number: int | float = node.py_val
                return number
            case ast.DateTime(val=text) | ast.Date(val=text) if kind == "timestamp":
                try:
                    return timestamp_ns(text)
                except ValueError as error:
                    raise FilterError(str(error)) from error
        raise FilterError(f"{_name(node)} is not a {kind}")


def _is_choice(node: Any) -> bool:
    return isinstance(node, ast.Compare) and isinstance(node.comparator, ast.Eq | ast.In)


def _one_of(path: str, values: frozenset[Value]) -> Predicate:
    return lambda record: record.value(path) in values


def _all(parts: list[Predicate]) -> Predicate:
    if len(parts) == 1:
        return parts[0]
    return lambda record: all(part(record) for part in parts)


def _is(node: Any, path: str) -> bool:
    return isinstance(node, ast.Identifier | ast.Attribute) and _name(node) == path


def _name(node: Any) -> str:
    """Return the path of a field without the namespaces of casts; for another node, its kind."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.owner)}/{node.attr}"
    return str(node.name) if isinstance(node, ast.Identifier) else type(node).__name__


def _intersects(arguments: list[Any]) -> Predicate:
    match arguments:
        case [ast.NamedParam(name=ast.Identifier(name="area"), param=ast.Geography(val=text))]:
            try:
                area = read_area(text)
            except ValueError as error:
                raise FilterError(str(error)) from error
            return lambda record: meets(area, record.geometry())
    raise FilterError("OData.CSC.Intersects needs area=geography'SRID=4326;…'")
