"""What is fetched, and where to, for the listings of a group of accounts; a listing's own first line wins."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, WithJsonSchema

from cdsed.config.section import Section
from cdsed.model.choice import checked_pattern
from cdsed.model.layout import ProductLayout
from cdsed.model.listing import ListingOptions


def _layout(value: object) -> object:
    if value is None or isinstance(value, ProductLayout):
        return value
    if isinstance(value, str):
        return ProductLayout.parse(value)
    if isinstance(value, Mapping) and all(isinstance(each, str) for pair in value.items() for each in pair):
        return ProductLayout.by_family(value)
    raise ValueError("should be a template such as {unit}/{year}/{doy}, or one for each of some families")


_JSON_SCHEMA = WithJsonSchema(
    {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}, {"type": "null"}]}
)
FilePattern = Annotated[str, Field(strict=True), AfterValidator(checked_pattern)]


class GroupSettings(Section):
    """The layout and the choice of files of one group."""

    layout: Annotated[InstanceOf[ProductLayout] | None, BeforeValidator(_layout), _JSON_SCHEMA] = Field(
        default=None,
        description="template of the directory below the spool or output directory, or one by family; null: in it",
    )
    include: tuple[FilePattern, ...] = Field(
        default=(), description="patterns of the files to fetch of each product; none: all files"
    )
    exclude: tuple[FilePattern, ...] = Field(default=(), description="patterns of the files not to fetch")


def completed(options: ListingOptions, of_group: GroupSettings | None) -> ListingOptions:
    """Return the options of a listing with those of its group, where it has no layout or no choice of its own."""
    if of_group is None:
        return options
    layout = options.layout or of_group.layout
    if options.include or options.exclude:
        return options.replaced(layout=layout)
    return options.replaced(layout=layout, include=of_group.include, exclude=of_group.exclude)
