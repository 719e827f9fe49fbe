"""``/_control/catalogue/…``: calls that fill the catalogue without products on eodata."""

import json
from datetime import UTC, datetime
from typing import Any

from cdsed.sandbox.catalogue import SandboxCatalogue, generate_rows, load_rows
from cdsed.sandbox.http import Request, Response, json_response

_GENERATED = {"count", "seed", "collection", "start", "end"}


def respond(catalogue: SandboxCatalogue, request: Request, name: str) -> Response:
    """Answer a call: POST ``load``, ``generate`` or ``settings``, or DELETE, which removes every row.

    Raises
    ------
    ValueError, TypeError
        The body is not what the call needs.
    """
    if request.method == "DELETE":
        catalogue.clear()
        return json_response(200, {})
    if name not in {"load", "generate", "settings"}:
        return json_response(404, {"error": f"no call catalogue/{name}; there are load, generate and settings"})
    document = json.loads(request.body)
    if name == "load":
        return json_response(201, {"rows": catalogue.add(list(load_rows(document)))})
    if not isinstance(document, dict):
        raise ValueError("a JSON object is needed")  # noqa: TRY004 - what is read, not a type
    if name == "generate":
        return json_response(201, {"rows": _generate(catalogue, document)})
    catalogue.settings = catalogue.settings.changed(document)
    return json_response(200, {})


def _generate(catalogue: SandboxCatalogue, wanted: dict[str, Any]) -> int:
    unknown = sorted(set(wanted) - _GENERATED)
    if unknown or "count" not in wanted:
        raise ValueError(f"needs a count, and may have {', '.join(sorted(_GENERATED))}; wrong: {unknown or wanted}")
    rows = generate_rows(
        int(wanted["count"]),
        int(wanted.get("seed", 1)),
        str(wanted.get("collection", "SENTINEL-1")),
        _utc(wanted.get("start", "2024-01-01")),
        _utc(wanted.get("end", "2024-02-01")),
    )
    return catalogue.add(list(rows))


def _utc(text: str) -> datetime:
    timestamp = datetime.fromisoformat(text)
    return timestamp.replace(tzinfo=UTC) if timestamp.tzinfo is None else timestamp.astimezone(UTC)
