"""Finding, in the catalogue, another version of a product that it has deleted: made by another baseline."""

from collections.abc import Sequence
from datetime import timedelta

from cdsed.catalogue.batch_query import BatchQuery, instant, quoted
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.response import parse_entries
from cdsed.model.catalogue_entry import CatalogueEntry
from cdsed.model.safename import Safename, parse
from cdsed.model.versions import MARGIN, shared_parts, shows_the_same

_PER_FILTER = 8


def successors(deleted: Sequence[str], service: ODataClient) -> dict[str, str]:
    """Return the names of products that show the same as deleted ones, by the names of these.

    Parameters
    ----------
    deleted
        Names of any missions; those whose form is not known have no successor.
    service
        The catalogue.

    Returns
    -------
    dict
        Of several versions that can be had, the one that was made last.

    Raises
    ------
    ServiceError, Stopped
        As the service raises them.
    """
    named = [parse(name) for name in deleted]
    found: dict[str, str] = {}
    for family in dict.fromkeys(each.family for each in named if each.family.mission.versions):
        gone = [each for each in named if each.family is family]
        within = f"Collection/Name eq {quoted(family.mission.collection)}"  # without a collection the service is slow
        batch = BatchQuery(service, "Products", _PER_FILTER, within=within, order="ContentDate/Start asc")
        conditions = list(dict.fromkeys(_condition(each) for each in gone))
        rows = [row for page in batch.pages(conditions) for row in parse_entries(page, service.url)]
        versions = [(parse(row.name), row) for row in rows if row.can_be_had]
        for each in gone:
            if same := [version for version in versions if shows_the_same(each, version[0])]:
                found[each.name] = max(same, key=_made)[1].name
    return found


def _condition(name: Safename) -> str:
    assert name.start
    first, later = shared_parts(name)
    parts = [
        f"ContentDate/Start ge {instant(name.start - MARGIN)}",
        f"ContentDate/Start le {instant(name.start + MARGIN + timedelta(seconds=1))}",
        f"startswith(Name,{quoted(first)})",
    ]
    return f"({' and '.join([*parts, f'contains(Name,{quoted(later)})'] if later else parts)})"


def _made(version: tuple[Safename, CatalogueEntry]) -> tuple[str, object]:
    name, row = version
    return name.fields.get("creation", name.fields.get("discriminator", "")), row.modified_at
