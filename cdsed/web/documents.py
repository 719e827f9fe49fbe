"""What each path of the API returns, as JSON objects. Names are those of ``cdsed status --json``."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from cdsed.clock import iso
from cdsed.model.product_state import State
from cdsed.model.status_report import StatusReport
from cdsed.store.page import Failure, HourlyTraffic
from cdsed.view import as_json
from cdsed.view.status_view import StatusView

Document = dict[str, Any]


def openapi() -> Document:
    """Return the description of the API (OpenAPI): openapi.json, with the members of the status by their one schema.

    ``cdsed status --json`` has the same members, so that only `cdsed/view/status.schema.json` describes them.
    """
    of_status = files("cdsed.view").joinpath("status.schema.json").read_text("utf-8")
    shared = json.loads(of_status.replace("#/$defs/", "#/components/schemas/"))["$defs"]
    overview = shared.pop("overview")
    document: Document = json.loads(files("cdsed.web").joinpath("openapi.json").read_text("utf-8"))
    own = document["components"]["schemas"]
    own["Status"] |= {
        "required": [*overview["required"], *own["Status"]["required"]],
        "properties": overview["properties"] | own["Status"]["properties"],
        "additionalProperties": False,
    }
    own |= {name: schema for name, schema in shared.items() if not name.startswith("of_")}
    return document


def status(view: StatusView, *, controls: bool) -> Document:
    """Return the whole status; `controls` says whether the API accepts a pause."""
    return {**as_json.render(view), "ran_before": view.ran_before, "controls": controls}


def part(view: StatusView, *names: str) -> Document:
    """Return some members of the status, with the time at which it was read."""
    whole = status(view, controls=False)
    return {"at": whole["at"], **{name: whole[name] for name in names}}


def failures(found: Sequence[Failure], report: StatusReport, following: str | None) -> Document:
    """Return one page of failures; `following` is the position of the next one, None if this is the last."""
    rows = [as_json.plain(asdict(failure)) for failure in found]
    return {
        "at": iso(report.at),
        "by_code": [as_json.plain(asdict(error)) for error in report.errors],
        "failures": [{name: value for name, value in row.items() if name != "id"} for row in rows],
        "next": following,
    }


def traffic(found: HourlyTraffic, now: float) -> Document:
    """Return bytes by account and hour, the oldest first."""
    return {
        "at": iso(now),
        "first_at": iso(found.first_at),
        "step_s": 3600,
        "bytes": [sum(each) for each in zip(*found.bytes_of.values(), strict=True)] or [0] * found.hours,
        "bytes_by_account": {name: list(each) for name, each in found.bytes_of.items()},
    }


def footprints(geometries: dict[str, Document], states: dict[str, State], products: int, now: float) -> Document:
    """Return the products of a listing whose footprint is known, as a GeoJSON FeatureCollection."""
    return {
        "type": "FeatureCollection",
        "at": iso(now),
        "products": products,
        "looked_at": len(states),
        "features": [
            {"type": "Feature", "geometry": geometries[name], "properties": {"name": name, "state": state}}
            for name, state in states.items()
            if name in geometries
        ],
    }


def error(code: int, message: str) -> Document:
    """Return why a request failed, in a sentence."""
    return {"error": {"code": code, "message": message}}
