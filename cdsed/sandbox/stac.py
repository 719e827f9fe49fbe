"""The STAC API: landing page, conformance, collections, and searches with pages, over the rows of the catalogue."""

import json
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import unquote, urlencode

from cdsed.sandbox.catalogue import SandboxCatalogue
from cdsed.sandbox.http import Request, Response, json_response
from cdsed.sandbox.odatafilter import Filter
from cdsed.sandbox.stacitems import VERSION, collection, collection_id, item, item_id, link
from cdsed.sandbox.stacquery import BadSearch, StacSearch, from_query, read_search

PATH = "/stac/v1"
_GEOJSON = {"Content-Type": "application/geo+json"}
_CONFORMANCE = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#query",
    "https://api.stacspec.org/v1.0.0/item-search#sort",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
]


class StacSite(Protocol):
    """The parts of a sandbox that the STAC API needs."""

    catalogue: SandboxCatalogue
    url: str


class _NotFound(Exception):
    """The API does not have the resource."""


def is_for_stac(request: Request) -> bool:
    """Tell whether a request is for the STAC API."""
    return request.path == PATH or request.path.startswith(f"{PATH}/")


def respond(site: StacSite, request: Request) -> Response:
    """Answer a request to the STAC API, also one that is wrong."""
    parts = [part for part in unquote(request.path).removeprefix(PATH).split("/") if part]
    is_search = parts == ["search"]
    if request.method not in ({"GET", "POST"} if is_search else {"GET"}):
        return json_response(405, {"detail": "Method Not Allowed"})
    try:
        if is_search:
            return _search(site, request)
        return _resource(site, request, parts)
    except BadSearch as error:
        return json_response(400, {"code": "InvalidQueryParameter", "description": str(error)})
    except _NotFound as error:
        return json_response(404, {"code": "NotFoundError", "description": str(error)})


def _resource(site: StacSite, request: Request, parts: list[str]) -> Response:
    api_url = f"{site.url}{PATH}"
    match parts:
        case []:
            return json_response(200, _landing_page(site, api_url))
        case ["conformance"]:
            return json_response(200, {"conformsTo": _CONFORMANCE})
        case ["collections"]:
            found = [collection(each, api_url) for each in _collections(site)]
            links = [link("root", f"{api_url}/"), link("self", f"{api_url}/collections")]
            return json_response(200, {"collections": found, "links": links})
        case ["collections", name] if name in _collections(site):
            return json_response(200, collection(name, api_url))
        case ["collections", name, "items"] if name in _collections(site):
            body = {**from_query(request.parameters()), "collections": [name]}
            return _page(site, read_search(body), _next_of_get(request))
        case ["collections", name, "items", identifier]:
            return _one(site, name, identifier)
    raise _NotFound(f"there is nothing at {'/'.join(parts)}")


def _landing_page(site: StacSite, api_url: str) -> dict[str, Any]:
    links = [
        link("self", f"{api_url}/"),
        link("root", f"{api_url}/"),
        link("data", f"{api_url}/collections"),
        link("conformance", f"{api_url}/conformance"),
        {**link("search", f"{api_url}/search", "application/geo+json"), "method": "GET"},
        {**link("search", f"{api_url}/search", "application/geo+json"), "method": "POST"},
    ]
    return {
        "type": "Catalog",
        "id": "cdsed-sandbox",
        "title": "cdse-stac",
        "description": "The products of a sandbox.",
        "stac_version": VERSION,
        "conformsTo": _CONFORMANCE,
        "links": links + [link("child", f"{api_url}/collections/{each}") for each in _collections(site)],
    }


def _collections(site: StacSite) -> list[str]:
    """Return the collections that have products."""
    rows = site.catalogue.select(Filter("", lambda _row: True, {}), ())
    return sorted({each for each in (collection_id(row.name) for row in rows) if each})


def _one(site: StacSite, name: str, identifier: str) -> Response:
    found = site.catalogue.select(read_search({"ids": [identifier], "collections": [name]}).wanted, ())
    if not found:
        raise _NotFound(f"Item {identifier} in Collection {name} does not exist.")
    return json_response(200, item(found[0].entry(("Attributes",)), site.url, f"{site.url}{PATH}"), _GEOJSON)


def _search(site: StacSite, request: Request) -> Response:
    if request.method == "GET":
        return _page(site, read_search(from_query(request.parameters())), _next_of_get(request))
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise BadSearch(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadSearch("the body is not an object")
    following = {**link("next", f"{site.url}{PATH}/search", "application/geo+json"), "method": "POST"}
    return _page(site, read_search(body), lambda token: {**following, "body": {**body, "token": token}})


def _page(site: StacSite, search: StacSearch, next_link: Any) -> Response:
    rows = site.catalogue.select(search.wanted, search.orders)
    first = 0
    if search.token:
        last = search.token.removeprefix("next:").partition(":")[2]
        places = [place for place, row in enumerate(rows) if item_id(row.name) == last]
        if not search.token.startswith("next:") or not places:
            raise BadSearch(f"no such token: {search.token}")
        first = places[-1] + 1
    page = rows[first : first + search.limit]
    api_url = f"{site.url}{PATH}"
    links: list[Mapping[str, Any]] = [link("root", f"{api_url}/")]
    if len(rows) > first + search.limit:
        links.append(next_link(f"next:{collection_id(page[-1].name)}:{item_id(page[-1].name)}"))
    features = [item(row.entry(("Attributes",)), site.url, api_url) for row in page]
    document = {"type": "FeatureCollection", "features": features, "links": links, "numberReturned": len(features)}
    return json_response(200, document, _GEOJSON)


def _next_of_get(request: Request) -> Any:
    def following(token: str) -> dict[str, Any]:
        query = urlencode({**request.parameters(), "token": token})
        place = f"http://{request.headers.get('host', '')}{request.path}?{query}"
        return {**link("next", place, "application/geo+json"), "method": "GET"}

    return following
