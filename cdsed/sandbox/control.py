"""``/_control/``: calls that give the sandbox products and faults, and read its counters."""

import json
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import unquote

from cdsed.sandbox import cataloguecalls
from cdsed.sandbox.bucket import Bucket
from cdsed.sandbox.catalogue import SandboxCatalogue
from cdsed.sandbox.counters import Counters
from cdsed.sandbox.faults import FaultBook, fault_from_json
from cdsed.sandbox.http import Request, Response, json_response
from cdsed.sandbox.identity import Identity
from cdsed.sandbox.products import spec_from_json
from cdsed.sandbox.quotas import SandboxQuotas
from cdsed.sandbox.rules import Rules

PATH = "/_control/"


class Controlled(Protocol):
    """The parts of a sandbox that can be controlled."""

    bucket: Bucket
    catalogue: SandboxCatalogue
    quotas: SandboxQuotas
    faults: FaultBook
    counters: Counters
    rules: Rules
    identity: Identity


def respond(sandbox: Controlled, request: Request) -> Response:
    """Answer a control call; 400 with ``error`` when it is wrong, 404 when its name is unknown."""
    resource, _slash, name = unquote(request.path).removeprefix(PATH).partition("/")
    call = _CALLS.get((request.method, resource))
    if call is None:
        calls = ", ".join(f"{method} {PATH}{path}" for method, path in _CALLS)
        return json_response(404, {"error": f"no such call; there are {calls}"})
    try:
        return call(sandbox, request, name)
    except (ValueError, TypeError) as error:
        return json_response(400, {"error": str(error)})


def _items(request: Request) -> list[dict[str, Any]]:
    items = json.loads(request.body)
    items = items if isinstance(items, list) else [items]
    if not all(isinstance(item, dict) for item in items):
        raise ValueError("a JSON object, or a list of them, is needed")
    return items


def _add_products(sandbox: Controlled, request: Request, _name: str) -> Response:
    specs = [spec_from_json(item) for item in _items(request)]
    products = [sandbox.bucket.add(spec) for spec in specs]
    return json_response(201, {"products": {product.spec.safename: product.s3_path for product in products}})


def _add_faults(sandbox: Controlled, request: Request, _name: str) -> Response:
    faults = [fault_from_json(item) for item in _items(request)]
    return json_response(201, {"ids": [sandbox.faults.add(fault) for fault in faults]})


def _get_faults(sandbox: Controlled, _request: Request, _name: str) -> Response:
    return json_response(200, {"faults": sandbox.faults.listing()})


def _remove_faults(sandbox: Controlled, _request: Request, name: str) -> Response:
    sandbox.faults.remove(int(name) if name else None)
    return json_response(200, {})


def _get_counters(sandbox: Controlled, _request: Request, _name: str) -> Response:
    values = {"accounts": sandbox.quotas.counters(), "faults": sandbox.faults.applied()}
    return json_response(200, values | sandbox.counters.values())


def _reset_counters(sandbox: Controlled, _request: Request, name: str) -> Response:
    if name != "reset":
        return json_response(404, {"error": f"POST {PATH}counters/reset is the only such call"})
    sandbox.quotas.reset()
    sandbox.faults.reset()
    sandbox.counters.reset()
    return json_response(200, {})


def _get_requests(sandbox: Controlled, request: Request, _name: str) -> Response:
    limit = int(request.parameters().get("limit", "100"))
    return json_response(200, {"requests": sandbox.counters.last_requests(limit)})


def _get_truth(sandbox: Controlled, _request: Request, name: str) -> Response:
    products = sandbox.bucket.named(name)
    if not products:
        return json_response(404, {"error": f"no product {name}"})
    objects = [
        {"path": path, "size_bytes": truth.size_bytes, "md5": truth.md5} for path, truth in products[0].truth().items()
    ]
    return json_response(200, {"safename": name, "s3_path": products[0].s3_path, "objects": objects})


def _call_catalogue(sandbox: Controlled, request: Request, name: str) -> Response:
    return cataloguecalls.respond(sandbox.catalogue, request, name)


def _change_rules(sandbox: Controlled, request: Request, _name: str) -> Response:
    for values in _items(request):
        sandbox.rules.change(values)
    return json_response(200, {})


def _get_identity(sandbox: Controlled, _request: Request, _name: str) -> Response:
    return json_response(200, sandbox.identity.counters())


def _end_sessions(sandbox: Controlled, _request: Request, _name: str) -> Response:
    sandbox.identity.end_sessions()
    return json_response(200, {})


_CALLS: dict[tuple[str, str], Callable[[Controlled, Request, str], Response]] = {
    ("POST", "products"): _add_products,
    ("POST", "faults"): _add_faults,
    ("GET", "faults"): _get_faults,
    ("DELETE", "faults"): _remove_faults,
    ("GET", "counters"): _get_counters,
    ("POST", "counters"): _reset_counters,
    ("GET", "requests"): _get_requests,
    ("GET", "truth"): _get_truth,
    ("POST", "catalogue"): _call_catalogue,
    ("DELETE", "catalogue"): _call_catalogue,
    ("POST", "rules"): _change_rules,
    ("GET", "identity"): _get_identity,
    ("DELETE", "sessions"): _end_sessions,
}
