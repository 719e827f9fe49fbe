"""Responses of a proxy, a firewall or a login page instead of the service."""

import json
from collections.abc import Iterator
from dataclasses import replace

from cdsed.sandbox.faults import FOREIGN, Fault
from cdsed.sandbox.http import Response, data_response

LOGIN_PATH = "/_login"
_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head>"
    b"<body>Please sign in to use the network.</body></html>\n"
)
_S3 = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<Name>another</Name><Prefix></Prefix><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys>"
    b"<IsTruncated>false</IsTruncated></ListBucketResult>"
)
_ODATA = json.dumps({"@odata.context": "$metadata#Products", "value": []}).encode()
_TOKEN = json.dumps({"access_token": "of-another-service", "expires_in": 600, "token_type": "Bearer"}).encode()
_KEYS = json.dumps({"credentials": [], "count": 0, "offset": 0, "limit": 20}).encode()
# For each service, a response of another service.
_OF_ANOTHER = {
    "list": _ODATA,
    "head": _ODATA,
    "get": _ODATA,
    "odata": _S3,
    "identity": _KEYS,
    "keys": _TOKEN,
    "zip": _ODATA,
}


def in_place_of(response: Response, fault: Fault | None, operation: str) -> Response:
    """Return the response that replaces `response`; `response` itself for all other kinds of fault."""
    nothing_to_cut = operation == "head" and fault is not None and fault.kind == "truncated_body"
    if fault is None or fault.kind not in FOREIGN or nothing_to_cut:
        return response
    status = fault.status or 200
    match fault.kind:
        case "page":
            return data_response(status, _PAGE, "text/html; charset=utf-8", _etag(fault))
        case "empty_body":
            return Response(status)
        case "truncated_body":
            half = response.length // 2
            return replace(response, length=half, body=_first(response, half))
        case "foreign_answer":
            body = _OF_ANOTHER.get(operation, _ODATA)
            kind = "application/xml" if body is _S3 else "application/json"
            return data_response(status, body, kind, _etag(fault))
    return Response(fault.status or 302, headers={"Location": LOGIN_PATH, **_etag(fault)})


def _etag(fault: Fault) -> dict[str, str]:
    return {"ETag": fault.etag} if fault.etag else {}


def _first(response: Response, count_bytes: int) -> Iterator[memoryview]:
    for piece in response.body:
        yield piece[:count_bytes]
        count_bytes -= min(count_bytes, len(piece))
        if not count_bytes:
            return
