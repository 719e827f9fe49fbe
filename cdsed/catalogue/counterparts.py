"""From Sentinel-1 products to those of another type that show the same, through the catalogue."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from cdsed.catalogue.answer import parse_entries
from cdsed.catalogue.anyof import AnyOf, quoted
from cdsed.catalogue.service import Service
from cdsed.model.catalogue import CatalogueEntry
from cdsed.model.matching import match
from cdsed.model.safename import Family, Safename, parse

_WITHIN = "Collection/Name eq 'SENTINEL-1'"  # without a collection the service is slow
_DATATAKES_PER_FILTER = 10
_NAMES_ROUND_TO = timedelta(seconds=1)  # the catalogue's times have fractions


def counterparts(
    wanted: Sequence[Safename], to: str, service: Service, tolerance_s: float, *, cog: bool = False
) -> dict[str, CatalogueEntry]:
    """Find the products of another type that show what some Sentinel-1 products show.

    Parameters
    ----------
    wanted
        Any number of names; those of other missions have no counterpart.
    to
        The type looked for: ``SLC``, ``GRD``, ``OCN``, ``RAW`` or with its resolution, ``GRDH``.
    service
        The catalogue.
    tolerance_s, cog
        As `cdsed.model.matching.match` has them.

    Returns
    -------
    dict
        The entry of the counterpart of each name that has one.
    """
    datatakes = defaultdict(list)
    for each in wanted:
        if each.family is Family.S1:
            datatakes[each.fields["orbit"], each.fields["datatake"]].append(each)
    conditions = [_condition(same, to, tolerance_s) for same in datatakes.values()]
    ask = AnyOf(service, "Products", _DATATAKES_PER_FILTER, within=_WITHIN, order="ContentDate/Start asc")
    rows = [row for page in ask.pages(conditions) for row in parse_entries(page, service.url)]
    entries = {row.name: row for row in sorted(rows, key=lambda row: row.modified_at)}
    candidates = defaultdict(list)
    for name in map(parse, entries):
        if name.family is Family.S1:
            candidates[name.fields["orbit"], name.fields["datatake"]].append(name)
    found = {
        each.name: match(each, candidates[datatake], tolerance_s, cog=cog)
        for datatake, same in datatakes.items()
        for each in same
    }
    return {name: entries[other.name] for name, other in found.items() if other}


def _condition(same_datatake: Sequence[Safename], to: str, tolerance_s: float) -> str:
    starts = [each.start for each in same_datatake if each.start]
    margin = timedelta(seconds=tolerance_s) + _NAMES_ROUND_TO
    first, last = _instant(min(starts) - margin), _instant(max(starts) + margin)
    datatake = "_{orbit}_{datatake}".format_map(same_datatake[0].fields)
    parts = (
        f"ContentDate/Start ge {first}",
        f"ContentDate/Start le {last}",
        f"contains(Name,{quoted(datatake)})",
        f"contains(Name,{quoted('_' + to)})",
    )
    return f"({' and '.join(parts)})"


def _instant(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
