"""The settings of standing queries: what is searched for again and again, and when."""

from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from cdsed.config.section import Section
from cdsed.config.values import Seconds, ShortName
from cdsed.model.cron import parse_cron

Timestamp = datetime | date | str


def _cron(text: str) -> str:
    parse_cron(text)
    return text


def _aware(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class QueryConditions(Section):
    """What a product has to meet, in the words of `cdsed.search`."""

    start: Timestamp | None = Field(default=None, description="time (UTC) at which sensing starts, or later")
    end: Timestamp | None = Field(default=None, description="time (UTC) before which sensing starts")
    area: str | None = Field(default=None, description="area as WKT, GeoJSON, or the absolute path of a file of either")
    collection: str | None = Field(default=None, description="collection, such as SENTINEL-1")
    name: str | None = Field(default=None, description="pattern of the name, * for any characters")
    sensor_mode: str | None = Field(default=None, description="sensor mode, such as IW")
    product_type: str | None = Field(default=None, description="product type, whole, such as IW_GRDH_1S")
    polarisation: str | None = Field(default=None, description="polarisation: VV, VH, HH, HV, VV&VH, HH&HV")
    orbit: int | None = Field(default=None, strict=True, description="absolute orbit")
    relative_orbit: int | None = Field(default=None, strict=True, description="relative orbit")
    orbit_direction: str | None = Field(default=None, description="direction: ASCENDING or DESCENDING")
    cloud_max_percent: float | None = Field(default=None, ge=0, le=100, description="cloud cover in percent at most")
    sea_min_percent: float | None = Field(default=None, ge=0, le=100, description="sea in percent of the area at least")
    online: bool | None = Field(
        default=None, strict=True, description="true or false: whether it can be fetched at once"
    )
    attributes: tuple[str, ...] = Field(
        default=(), description="conditions on attributes, such as \"timeliness eq 'NRT-3h'\""
    )


class StandingQuery(Section):
    """A query of the catalogue that the daemon runs on a schedule."""

    name: ShortName = Field(description="name of the query, in the names of its listings")
    search: QueryConditions = Field(description="conditions that a product has to meet, at least one")
    cron: Annotated[str, AfterValidator(_cron)] | None = Field(
        default=None, description="schedule in UTC as minute, hour, day, month, weekday, such as 0 6 * * *"
    )
    every_s: Seconds | None = Field(default=None, ge=1, description="seconds from one run to the next; or give cron")
    group: ShortName | None = Field(default=None, description="group of accounts of its listings; null: default_group")
    priority: int = Field(default=0, strict=True, ge=-1000, le=1000, description="priority of its listings")
    overlap_s: float = Field(
        default=86_400,
        strict=True,
        ge=0,
        le=1e9,
        description="seconds that each run looks back before the newest product it has seen, for what appears late",
    )
    published_since: Annotated[datetime, AfterValidator(_aware)] | None = Field(
        default=None, description="time (UTC) from which the first run counts; null: when the daemon first reads it"
    )
    products_max: int = Field(
        default=10_000, strict=True, ge=1, le=100_000, description="number of products of one run at most"
    )
    late_after_s: Seconds = Field(
        default=7 * 86_400, description="seconds from sensing to publication above which a product is reported as late"
    )

    @model_validator(mode="after")
    def _has_one_schedule_and_a_condition(self) -> "StandingQuery":
        if (self.cron is None) == (self.every_s is None):
            raise ValueError("should have either cron or every_s")
        if self.search == QueryConditions():
            raise ValueError("should have a condition in search: the whole catalogue has hundreds of millions of rows")
        return self
