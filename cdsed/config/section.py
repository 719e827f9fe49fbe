"""The base of every mapping in a file of cdsed."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A mapping in a file of cdsed: typed, frozen, without unknown keys, and without values in its errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True, defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_all_defaults(cls, value: Any) -> Any:
        # YAML reads `transfer:` as null if every key below it is commented out.
        return {} if value is None else value


_Sections = TypeVar("_Sections", bound=tuple[Any, ...])


def names_once(sections: _Sections) -> _Sections:
    """Check that no two sections of a list have the same `name`; ValueError otherwise."""
    if len({each.name for each in sections}) < len(sections):
        raise ValueError("should give each name once")
    return sections


def section_of_defaults() -> Any:
    """Return the default of a field that is a section: made when it is needed, not when its class is defined."""
    return Field(default_factory=dict)
