"""The catalogue: OData with the limits, the errors and the undefined order of CDSE."""

import json
import re
import uuid
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlencode

from cdsed.sandbox.catalogue import SandboxCatalogue, ordered
from cdsed.sandbox.faults import REFUSALS
from cdsed.sandbox.http import Request, Response, json_response
from cdsed.sandbox.odataoptions import SKIP_MAX, Options, Unanswerable, problem, read_options
from cdsed.sandbox.rows import GONE_WHEN_DELETED, Row

ROOT = "/odata/v1/"
_RESOURCE = re.compile(
    r"(?P<set>Products|DeletedProducts)(?:\((?P<id>[^()]*)\))?|(?P<list>Products/OData\.CSC\.FilterList)"
)


class ODataSite(Protocol):
    """The parts of a sandbox that the catalogue needs."""

    catalogue: SandboxCatalogue
    url: str


def respond(site: ODataSite, request: Request) -> Response:
    """Answer a request to the catalogue, also one that is wrong."""
    path = unquote(request.path)
    resource = _RESOURCE.fullmatch(path.removeprefix(ROOT))
    if resource is None:
        return json_response(404, {"detail": _not_found(f"nothing at {path}")})
    if request.method != ("POST" if resource["list"] else "GET"):
        return json_response(405, {"detail": "Method Not Allowed"})
    try:
        return json_response(200, _response(site, request, resource))
    except Unanswerable as error:
        return json_response(error.status, {"detail": error.detail})


def error_response(kind: str, retry_after_s: int | None) -> Response:
    """Return the catalogue's response for a fault of `REFUSALS`; a 429 is that of its WAF."""
    status, code, message = REFUSALS[kind]
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    if status == 429:
        body: Any = {"error": "WAF", "message": "Rate limit exceeded", "status": 429}
    else:
        body = {"detail": {"message": f"{code}: {message}", "request_id": "sandbox"}}
    return json_response(status, body, headers)


def _response(site: ODataSite, request: Request, resource: re.Match[str]) -> dict[str, Any]:
    deleted = resource["set"] == "DeletedProducts"
    pairs = parse_qsl(request.query, keep_blank_values=True)
    options = read_options(pairs, deleted=deleted)
    if resource["list"]:
        return _filter_list(site.catalogue, request.body, options)
    if resource["id"] is not None:
        return _one(site.catalogue, resource["id"], options, deleted=deleted)
    rows = site.catalogue.select(options.wanted, options.orders, deleted=deleted)
    return _page(rows, options, f"{site.url}{ROOT}{resource['set']}", pairs)


def _not_found(message: str) -> dict[str, str]:
    return {"message": message, "request_id": str(uuid.uuid4())}


def _page(rows: list[Row], options: Options, url: str, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    end = options.skip + options.page_rows
    response: dict[str, Any] = {"@odata.context": _context(url.rpartition("/")[2], options)}
    if options.count:
        response["@odata.count"] = len(rows)
    response["value"] = [_entry(row, options) for row in rows[options.skip : end]]
    if response["value"] and end < len(rows) and end <= SKIP_MAX:
        following = [(name, str(end) if name == "$skip" else value) for name, value in pairs]
        following += [] if "$skip" in dict(pairs) else [("$skip", str(end))]
        response["@odata.nextLink"] = f"{url}?{urlencode(following)}"
    return response


def _one(catalogue: SandboxCatalogue, text: str, options: Options, *, deleted: bool) -> dict[str, Any]:
    try:
        product_id = str(uuid.UUID(text))
    except ValueError as error:
        message = f"Input should be a valid UUID, {error}"
        where = ("path", "product_id")
        raise Unanswerable(422, [problem("uuid_parsing", where, message, text, {"error": str(error)})]) from error
    row = catalogue.get(product_id, deleted=deleted)
    if row is None:
        raise Unanswerable(404, _not_found(f"Product {product_id} not found"))
    context = _context("DeletedProducts" if deleted else "Products", options)
    return {"@odata.context": f"{context}/$entity", **_entry(row, options)}


def _filter_list(catalogue: SandboxCatalogue, body: bytes, options: Options) -> dict[str, Any]:
    """Answer for many names at once; unknown names are left out without a note."""
    names = _names(body, catalogue.settings.filter_list_max)
    limit = catalogue.settings.filter_list_page or options.top
    rows = [row for name in dict.fromkeys(names) for row in catalogue.named(name)]
    rows = ordered(rows, options.orders)[options.skip :][:limit]
    return {"@odata.context": _context("Products", options), "value": [_entry(row, options) for row in rows]}


def _names(body: bytes, limit: int) -> list[str]:
    where = ["body", "FilterProducts"]
    try:
        document = json.loads(body)
    except ValueError as error:
        item = problem("json_invalid", ["body", 0], "JSON decode error", {}, {"error": str(error)})
        raise Unanswerable(422, [item]) from error
    items = document.get("FilterProducts") if isinstance(document, dict) else None
    if items is None:
        raise Unanswerable(422, [problem("missing", where, "Field required", document, {})])
    if not isinstance(items, list):
        raise Unanswerable(422, [problem("list_type", where, "Input should be a valid list", items, {})])
    if len(items) > limit:
        message = f"List should have at most {limit} items after validation, not {len(items)}"
        context = {"field_type": "List", "max_length": limit, "actual_length": len(items)}
        raise Unanswerable(422, [problem("too_long", where, message, items, context)])
    problems = [
        problem("missing", [*where, number, "Name"], "Field required", item, {})
        for number, item in enumerate(items)
        if not (isinstance(item, dict) and isinstance(item.get("Name"), str))
    ]
    if problems:
        raise Unanswerable(422, problems)
    return [item["Name"] for item in items]


def _entry(row: Row, options: Options) -> dict[str, Any]:
    entry = row.entry(options.expand)
    hidden = GONE_WHEN_DELETED if row.is_deleted else ()
    kept = options.select and {*options.select, *options.expand, "Id", "@odata.mediaContentType"}
    return {name: value for name, value in entry.items() if name not in hidden and (not kept or name in kept)}


def _context(resource: str, options: Options) -> str:
    expanded = ",".join(f"{what}()" for what in options.expand)
    return f"$metadata#{resource}{f'({expanded})' if expanded else ''}"
