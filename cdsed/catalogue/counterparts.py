"""Finding, in the catalogue, products of another type from the same acquisition."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta

from cdsed.catalogue.batch_query import BatchQuery, instant, quoted
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.response import parse_entries
from cdsed.model.catalogue_entry import CatalogueEntry
from cdsed.model.families import Family
from cdsed.model.matching import match
from cdsed.model.safename import Safename, parse

_DATATAKES_PER_FILTER = 10
_NAMES_ROUND_TO = timedelta(seconds=1)  # the catalogue's times have fractions


def counterparts(
    wanted: Sequence[Safename], to: str, service: ODataClient, tolerance_s: float, *, cog: bool = False
) -> dict[str, CatalogueEntry]:
    """Find the products of another type that show the same as given products.

    Parameters
    ----------
    wanted
        Any number of names; those of missions whose names do not hold the datatake have no counterpart.
    to
        The type to find: ``SLC``, ``GRD``, ``OCN``, ``RAW`` or with its resolution, ``GRDH``.
    service
        The catalogue.
    tolerance_s, cog
        As for `cdsed.model.matching.match`.

    Returns
    -------
    dict
        The entry of the counterpart of each name that has one.
    """
    found: dict[str, CatalogueEntry] = {}
    for family in dict.fromkeys(each.family for each in wanted if each.family.mission.datatake):
        datatakes = _by_datatake(family, wanted)
        conditions = [_condition(datatake, same, to, tolerance_s) for datatake, same in datatakes.items()]
        within = f"Collection/Name eq {quoted(family.mission.collection)}"  # without a collection the service is slow
        batch = BatchQuery(service, "Products", _DATATAKES_PER_FILTER, within=within, order="ContentDate/Start asc")
        rows = [row for page in batch.pages(conditions) for row in parse_entries(page, service.url)]
        entries = {row.name: row for row in sorted(rows, key=lambda row: (row.can_be_had, row.modified_at))}
        candidates = _by_datatake(family, map(parse, entries))
        for datatake, same in datatakes.items():
            for each in same:
                if other := match(each, candidates.get(datatake, []), tolerance_s, cog=cog):
                    found[each.name] = entries[other.name]
    return found


def _by_datatake(family: Family, names: Iterable[Safename]) -> dict[str, list[Safename]]:
    datatakes = defaultdict(list)
    for each in names:
        if each.family is family:
            datatakes[family.mission.datatake.format_map(each.fields)].append(each)
    return datatakes


def _condition(datatake: str, same_datatake: Sequence[Safename], to: str, tolerance_s: float) -> str:
    starts = [each.start for each in same_datatake if each.start]
    margin = timedelta(seconds=tolerance_s) + _NAMES_ROUND_TO
    first, last = instant(min(starts) - margin), instant(max(starts) + margin)
    parts = (
        f"ContentDate/Start ge {first}",
        f"ContentDate/Start le {last}",
        f"contains(Name,{quoted(datatake)})",
        f"contains(Name,{quoted('_' + to)})",
    )
    return f"({' and '.join(parts)})"
