"""A directory with one parquet file for each day of sensing, as cdsodatacli's ``cds-s1-daily-metadata`` makes it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cdsed.catalogue.metadata import ROW_COLUMNS, Entry, as_texts
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.query import Query
from cdsed.catalogue.search import search_rows
from cdsed.dir_handle import whole_file
from cdsed.errors import ServiceError
from cdsed.model.families import Family
from cdsed.model.safename import parse

#: The mission whose days are written.
FAMILY = next(family for family in Family if family.mission.daily_modes)
_ASKED_AT = b"cdsed.asked_at"
_SCHEMA = pa.schema([pa.field(name, pa.string()) for name in (*ROW_COLUMNS, "id_original_query", "geometry")])
_FAILURES_IN_A_ROW_MAX = 3


class DayFate(StrEnum):
    """What happened to one day."""

    WRITTEN = "written"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DayResult:
    """One day: `products` in its file, or the error."""

    day: date
    fate: DayFate
    products: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class DailyTree:
    """The files of one directory.

    Attributes
    ----------
    directory
        Where they are: ``s1_YYYY-MM-DD.parquet``.
    settle_s
        A day is asked for again until its file was made this long after the end of the day, because products are
        published late.
    overwrite
        Ask for every day again.
    cog
        Keep the cloud-optimised copies (``…_COG.SAFE``), too.
    """

    directory: Path
    settle_s: float
    overwrite: bool = False
    cog: bool = False

    def path(self, day: date) -> Path:
        """Return the file of a day."""
        return self.directory / f"{FAMILY.lower()}_{day:%Y-%m-%d}.parquet"

    def is_settled(self, day: date) -> bool:
        """Tell whether the file of a day exists, can be read, and was made late enough.

        A file of cdsodatacli counts by its time of modification.
        """
        if self.overwrite:
            return False
        path = self.path(day)
        try:
            metadata = pq.read_metadata(path).metadata or {}
            asked_at = float(metadata[_ASKED_AT]) if _ASKED_AT in metadata else path.stat().st_mtime
        except (OSError, pa.ArrowException, ValueError):  # absent, or cut by a program that was killed
            return False
        return asked_at >= _begins(day + timedelta(days=1)).timestamp() + self.settle_s

    def keeps(self, row: Entry) -> bool:
        """Tell whether a product belongs into a file."""
        return _mode(row) in FAMILY.mission.daily_modes and (self.cog or "cog" not in parse(str(row["Name"])).fields)

    def write(self, day: date, rows: Sequence[Entry], asked_at: float) -> None:
        """Write the file of a day; it appears when it is complete and on the disk."""
        texts = list(as_texts(rows))
        columns = {name: [text[name] for text in texts] for name in ROW_COLUMNS}
        columns["id_original_query"] = [f"{FAMILY.lower()}_daily_{day:%Y%m%d}"] * len(texts)
        columns["geometry"] = [text["geometry_wkt"] for text in texts]
        metadata = {_ASKED_AT: str(asked_at).encode(), b"cdsed.day": json.dumps(day.isoformat()).encode()}
        table = pa.table(columns, schema=_SCHEMA).replace_schema_metadata(metadata)
        with whole_file(self.path(day)) as file:
            pq.write_table(table, file, compression="zstd")


def make_days(
    tree: DailyTree, first: date, last: date, service: ODataClient, now: Callable[[], float]
) -> Iterator[DayResult]:
    """Make the files of the days from `first` to `last`, both included, and yield each day's result.

    A day that is settled is skipped, so that a repeated call resumes. A day without products gets an empty file. When
    several days in a row fail, the rest is left for the next call.

    Parameters
    ----------
    now
        Returns the time, seconds UTC.
    """
    failures = 0
    for day in _days(first, last):
        if tree.is_settled(day):
            yield DayResult(day, DayFate.SKIPPED)
            continue
        asked_at = now()
        try:
            rows = [row for row in search_rows(_query(day), service) if tree.keeps(row)]
        except ServiceError as error:
            failures += 1
            yield DayResult(day, DayFate.FAILED, error=str(error))
            if failures == _FAILURES_IN_A_ROW_MAX:
                return
            continue
        failures = 0
        tree.write(day, rows, asked_at)
        yield DayResult(day, DayFate.WRITTEN, len(rows))


def _query(day: date) -> Query:
    return Query(start=_begins(day), end=_begins(day + timedelta(days=1)), collection=FAMILY.mission.collection)


def _begins(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _days(first: date, last: date) -> Iterator[date]:
    day = first
    while day <= last:
        yield day
        day += timedelta(days=1)


def _mode(row: Mapping[str, object]) -> str | None:
    attributes = row.get("Attributes")
    named = attributes if isinstance(attributes, list) else []
    modes = (each.get("Value") for each in named if isinstance(each, dict) and each.get("Name") == "operationalMode")
    return next((mode for mode in modes if isinstance(mode, str)), None)
