"""The base of every mapping in a file of cdsed."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A mapping in a file of cdsed: typed, frozen, without unknown keys, and without values in its errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_all_defaults(cls, value: Any) -> Any:
        # YAML reads `transfer:` as null if every key below it is commented out.
        return {} if value is None else value
