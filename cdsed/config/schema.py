"""JSON Schema of the settings file and of the accounts file, for editors; the files are shipped beside this module."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from cdsed.config.account_entries import AccountsFile
from cdsed.config.settings import Settings
from cdsed.config.values import parse_size_bytes

_SIZE = {"type": "string", "pattern": r"^\d+(\.\d+)?\s*(([kKMGT]i?)?B)?$"}


class FileKind(StrEnum):
    """The files that have a schema."""

    SETTINGS = "settings"
    ACCOUNTS = "accounts"

    @property
    def shipped(self) -> Path:
        """The path of the schema in the installed package."""
        return Path(__file__).with_name(f"{self.value}.schema.json")


class _EditorSchema(GenerateJsonSchema):
    """Describes what the files may have: sizes as text, empty sections, and secrets as text."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        function = schema["function"]["function"]
        if function is parse_size_bytes:
            return {"anyOf": [inner, _SIZE]}
        if getattr(function, "__name__", "") == "_nothing_is_all_defaults":
            inner["type"] = ["object", "null"]  # null: all of its keys are commented out
        inner.pop("format", None)  # a date without a time is accepted, too
        return inner

    def function_plain_schema(self, _schema: core_schema.PlainValidatorFunctionSchema) -> JsonSchemaValue:
        return {"type": "string"}

    def is_instance_schema(self, _schema: core_schema.IsInstanceSchema) -> JsonSchemaValue:
        return {"type": "string"}


def schema_text(kind: FileKind) -> str:
    """Return the JSON Schema of a file of cdsed, as it is shipped.

    Returns
    -------
    str
        JSON that ends in a line break.
    """
    model: type[BaseModel] = Settings if kind is FileKind.SETTINGS else AccountsFile
    made = model.model_json_schema(schema_generator=_EditorSchema)
    title = f"The {kind.value} file of cdsed"
    top = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return json.dumps(top | _without_titles(made), indent=1, ensure_ascii=False) + "\n"


def _without_titles(value: Any, *, names: bool = False) -> Any:
    """Leave out the titles that pydantic makes of names; `names`: the keys of this mapping are names of settings."""
    if isinstance(value, list):
        return [_without_titles(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_titles(each, names=key in ("properties", "$defs") and not names)
        for key, each in value.items()
        if names or key != "title"
    }
