"""The routes of the web page: static files, the JSON API below ``/api/v1/``, and ``/metrics``."""

import os
import re
import threading
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from cdsed.catalogue.cache import cache_directory
from cdsed.config.secrets import Secret
from cdsed.config.settings import Settings
from cdsed.errors import CdsedError
from cdsed.model.product_state import SUCCEEDED, TERMINAL, State
from cdsed.store import listings, page
from cdsed.store.database import Database
from cdsed.store.page import NEWEST, FailureFilter, Position
from cdsed.view import as_json, metrics
from cdsed.view.read import details_of, details_of_listing
from cdsed.view.status_view import ProductDetails, StatusView
from cdsed.web import documents, footprints, pausing
from cdsed.web.guard import Guard
from cdsed.web.responses import failed_request, json_response
from cdsed.web.state_reader import StateReader

STATIC = Path(__file__).with_name("static")

_NUMBER = re.compile(r"[0-9]{1,18}")  # SQLite has 64 bits
_FAILURES_MAX = 500
_FOOTPRINTS_MAX = 5000
_MAP_WITHIN_S = 10.0
_OF_THE_DAEMON = frozenset({"daemon", "state_dir"})
_FAILED = {str(state) for state in TERMINAL - SUCCEEDED} | {str(State.RETRY_WAIT)}


def create_app(settings: Settings, reader: StateReader, token: Secret | None) -> ASGIApp:
    """Return the application.

    Parameters
    ----------
    settings
        Name the hosts that may be asked for, and the directory of cached responses.
    reader
        Reads the state.
    token
        What pausing and resuming needs; None: the application only reads.
    """
    app = Starlette(
        routes=routes(settings, reader, token),
        middleware=[Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)],
        exception_handlers={HTTPException: failed_request, CdsedError: failed_request, OSError: failed_request},
    )
    app.add_exception_handler(500, failed_request)
    app.router.redirect_slashes = False  # its redirects begin with http:// also behind a proxy with TLS
    return Guard(app, settings.web.hosts)


def routes(settings: Settings, reader: StateReader, token: Secret | None) -> list[Route | Mount]:
    """Return all paths; parameters as for `create_app`."""
    api = Api(settings, reader, writes=token is not None)
    control = pausing.Controls(reader, token)
    return [
        Route("/", _index),
        Route("/metrics", api.metrics),
        Route("/api/v1/openapi.json", _openapi),
        Route("/api/v1/status", api.status),
        Route("/api/v1/listings", api.listings),
        Route("/api/v1/listings/{id}", api.listing),
        Route("/api/v1/listings/{id}/footprints", api.footprints),
        Route("/api/v1/products/{name}", api.product),
        Route("/api/v1/failures", api.failures),
        Route("/api/v1/transfers", api.transfers),
        Route("/api/v1/accounts", api.accounts),
        Route("/api/v1/traffic", api.traffic),
        Route("/api/v1/pauses", api.pauses),
        Route("/api/v1/pauses", control.pause, methods=["POST"]),
        Route("/api/v1/pauses/all", control.resume, methods=["DELETE"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]


def _index(_: Request) -> Response:
    return FileResponse(STATIC / "index.html")


def _openapi(request: Request) -> Response:
    return json_response(request, documents.openapi())


class Api:
    """The paths that read. Each runs in a thread, and holds the state open for some milliseconds."""

    def __init__(self, settings: Settings, reader: StateReader, *, writes: bool) -> None:
        self._reader = reader
        self._cache = cache_directory(settings, os.environ)
        self._writes = writes
        self._one_map = threading.Lock()

    def status(self, request: Request) -> Response:
        """Return the whole status."""
        view = self._reader.status()
        return json_response(request, documents.status(view, controls=self._writes))

    def listings(self, request: Request) -> Response:
        """Return the listings that are not finished, and the latest of the others."""
        return self._part(request, "listings")

    def transfers(self, request: Request) -> Response:
        """Return the products in transfer."""
        return self._part(request, "transfers", "rate_bytes_per_s", "rate_steps_bytes_per_s")

    def accounts(self, request: Request) -> Response:
        """Return the accounts, and the quotas that groups share."""
        return self._part(request, "accounts", "pools")

    def pauses(self, request: Request) -> Response:
        """Return what is paused."""
        return self._part(request, "pauses")

    def _part(self, request: Request, *names: str) -> Response:
        return json_response(request, documents.part(self._reader.status(), *names))

    def listing(self, request: Request) -> Response:
        """Return the details of one listing."""
        number = _listing_number(request)
        with self._reader.database() as db:
            self._count(db, number)
            assert db is not None, "a listing was counted"
            return self._details(request, details_of_listing(db, listings.get(db, number)))

    def product(self, request: Request) -> Response:
        """Return one product with its history."""
        with self._reader.database() as db:
            if db is None:
                raise HTTPException(404, "no product is known: the state does not exist yet")
            details = details_of(db, request.path_params["name"])
            if not isinstance(details, ProductDetails):
                raise HTTPException(404, "this is the name of a listing; ask for /api/v1/listings with its number")
            return self._details(request, details)

    def _details(self, request: Request, details: object) -> Response:
        report = self._reader.status()
        view = StatusView(report.state_dir, report.report, details=details)  # type: ignore[arg-type]
        document = as_json.render(view)
        return json_response(request, {name: document[name] for name in document if name not in _OF_THE_DAEMON})

    def _count(self, db: Database | None, listing: int) -> int:
        count = None if db is None else page.count_of(db, listing)
        if count is None:
            raise HTTPException(404, f"no listing has the number {listing}")
        return count

    def footprints(self, request: Request) -> Response:
        """Return the footprints of a listing's products, as far as they are known, as GeoJSON with their states."""
        number, most = _listing_number(request), _whole(request, "limit", _FOOTPRINTS_MAX, _FOOTPRINTS_MAX)
        with self._reader.database() as db:
            count = self._count(db, number)
            assert db is not None, "a listing was counted"
            states = page.products_of(db, number, most)
            file = Path(listings.get(db, number).path)
        if not self._one_map.acquire(timeout=_MAP_WITHIN_S):  # several at once would all be late
            raise HTTPException(503, "the footprints of another request are being read")
        try:
            found = footprints.find(states, file, self._cache, count=len(states))
        finally:
            self._one_map.release()
        document = documents.footprints(found, states, count, self._reader.clock.utc_s())
        return json_response(request, document, media_type="application/geo+json")

    def failures(self, request: Request) -> Response:
        """Return a page of failed products, the newest first, and how many there are by error code."""
        most = _whole(request, "limit", 50, _FAILURES_MAX)
        wanted = FailureFilter(request.query_params.get("state", ""), request.query_params.get("code", ""))
        if wanted.state and wanted.state not in _FAILED:
            raise HTTPException(400, f"state should be one of {', '.join(sorted(_FAILED))}")
        before = _position(request.query_params.get("before"))
        report = self._reader.status().report
        with self._reader.database() as db:
            found = [] if db is None else page.failures(db, self._reader.clock, before, most + 1, wanted)
        last = found[most - 1] if len(found) > most else None
        following = f"{last.changed_at!r}_{last.id}" if last else None
        return json_response(request, documents.failures(found[:most], report, following))

    def traffic(self, request: Request) -> Response:
        """Return bytes by account and hour."""
        hours = _whole(request, "hours", 24, 720)
        with self._reader.database() as db:
            if db is None:
                found = page.HourlyTraffic(self._reader.clock.utc_s(), hours, {})
            else:
                found = page.traffic(db, self._reader.clock, hours)
        return json_response(request, documents.traffic(found, self._reader.clock.utc_s()))

    def metrics(self, request: Request) -> Response:
        """Return all metrics, in OpenMetrics if the client accepts it."""
        openmetrics = "application/openmetrics-text" in request.headers.get("accept", "")
        report = self._reader.status().report
        with self._reader.database() as db:
            counters = [] if db is None else page.traffic_counters(db, self._reader.clock)
        text = metrics.render(report, self._reader.alarms(), counters, openmetrics=openmetrics)
        kind = metrics.OPENMETRICS_TYPE if openmetrics else metrics.PROMETHEUS_TYPE
        return Response(text, headers={"content-type": kind})


def _listing_number(request: Request) -> int:
    """Return the number in the path: Starlette's own conversion fails at very long ones."""
    text = request.path_params["id"]
    if not _NUMBER.fullmatch(text):
        raise HTTPException(404, "a listing has a number, such as 12; /api/v1/listings names those of now")
    return int(text)


def _whole(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= most):
        raise HTTPException(400, f"{name} should be a whole number from 1 to {most}")
    return int(text)


def _position(text: str | None) -> Position:
    if not text:
        return NEWEST
    changed_at, _, number = text.partition("_")
    try:
        if _NUMBER.fullmatch(number):
            return Position(float(changed_at), int(number))
    except ValueError:
        pass
    raise HTTPException(400, "before should be the value of next in a former response")
