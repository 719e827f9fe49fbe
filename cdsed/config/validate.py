"""Make a typed model of a document, or report all of its problems: line, key, what is wrong, what to do."""

import difflib
import re
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from cdsed.config.document import Document, Key
from cdsed.errors import ConfigError

_Model = TypeVar("_Model", bound=BaseModel)
_MISSPELT = re.compile(r"(s3_)?[a-z_]+")
_HOST = re.compile(r"([a-z0-9]{1,8}://)(?:.*@)?([A-Za-z0-9.-]{1,60})")  # the rest of an address may have a password
_HARMLESS = re.compile(
    r"[A-Za-z_.-]{0,16}|[~/.]?/[A-Za-z0-9_./ -]{0,50}|[A-Za-z_./-]{1,24}|[0-9.,: +-]{1,16}(?:[A-Za-z]{1,4})?"
)


def validate(document: Document, model: type[_Model]) -> _Model:
    """Make a typed model of a document.

    Parameters
    ----------
    document
        The file read.
    model
        The pydantic model of its content; each field has a description, which becomes the remedy.

    Raises
    ------
    ConfigError
        With every problem of the document: file, line, key, what is wrong, what to do.
    """
    refusals: list[str] = []
    try:
        valid = model.model_validate(document.content)
    except ValidationError as error:
        refusals = [_refusal(document, model, detail) for detail in error.errors(include_url=False)]
    # Raised outside of the except clause: an exception chained to pydantic's would include the values.
    if document.problems or refusals:
        raise ConfigError(sorted([*document.problems, *refusals], key=document.line_of))
    return valid


def _refusal(document: Document, model: type[BaseModel], detail: ErrorDetails) -> str:
    key = tuple(part for part in detail["loc"] if part != "[key]")
    if detail["type"] == "extra_forbidden":
        return _unknown_key(document, model, key)
    what = _sentence(detail)
    if not document.secret and isinstance(detail["input"], int | float | str):
        what += f", not {_quoted(detail['input'])}"
    field = _field_at(model, key)
    return document.problem(key, f"{what}; it is the {field.description}" if field and field.description else what)


def _quoted(value: float | str) -> str:
    """Return a value of the settings as a message may show it: it may be a misplaced secret."""
    if not isinstance(value, str) or _HARMLESS.fullmatch(value):
        return repr(value)
    if address := _HOST.match(value):
        return repr(address[1] + address[2] + ("" if address.end() == len(value) else "…"))
    return f"a text of {len(value)} characters"


def _unknown_key(document: Document, model: type[BaseModel], key: Key) -> str:
    known = list(_fields_below(model, key[:-1]))
    near = difflib.get_close_matches(str(key[-1]), known, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
    # In a file of secrets, an unknown key may be a secret that is left of a colon by mistake; so may `password1`.
    misspelt = near and _MISSPELT.fullmatch(str(key[-1]))
    shown = key[:-1] if document.secret and not misspelt else key
    return document.problem(key, f"unknown key; {remedy}", shown=shown)


def _sentence(detail: ErrorDetails) -> str:
    """Return pydantic's message as a part of a sentence of cdsed."""
    match detail["type"]:
        case "missing":
            return "is missing"
        case "value_error":
            return str(detail["ctx"]["error"])
        case "too_short":
            return "should name at least one"
        case "tuple_type":
            return "should be a list"
        case "model_type" | "dict_type":
            return "should be a mapping of keys to values"
        case "string_pattern_mismatch":
            return "should be at most 32 small letters, digits, - and _, the first a letter or digit"
    return detail["msg"].removeprefix("Input ")


def _fields_below(model: type[BaseModel], key: Key) -> Mapping[str, FieldInfo]:
    """Return the fields of the mapping at `key`."""
    annotation: Any = model
    for part in key:
        fields = _fields_of(annotation)
        if isinstance(part, str) and part in fields:
            annotation = fields[part].annotation
    return _fields_of(annotation)


def _field_at(model: type[BaseModel], key: Key) -> FieldInfo | None:
    names = [part for part in key if isinstance(part, str)]  # an item of a list has the description of the list
    return _fields_below(model, tuple(names[:-1])).get(names[-1]) if names else None


def _fields_of(annotation: Any) -> Mapping[str, FieldInfo]:
    """Return the fields of a model, or of the model in a container type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {info.alias or name: info for name, info in annotation.model_fields.items()}
    return next(filter(None, map(_fields_of, get_args(annotation))), {})
