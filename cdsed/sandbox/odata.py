"""The catalogue: OData ``Products`` by name, in the shape in which CDSE answers."""

import hashlib
import re
from datetime import datetime
from typing import Any
from urllib.parse import quote

from cdsed.sandbox.bucket import Bucket
from cdsed.sandbox.faults import REFUSALS
from cdsed.sandbox.http import Answer, Request, json_answer
from cdsed.sandbox.products import Product

PATH = "/odata/v1/Products"
_BY_NAME = r"Name eq '(?:[^']|'')*'"
_FILTER = re.compile(rf"\(*{_BY_NAME}\)*(?: or \(*{_BY_NAME}\)*)*")
_NAME = re.compile(r"Name eq '((?:[^']|'')*)'")
_TOP_DEFAULT, _TOP_MAX, _SKIP_MAX = 20, 1000, 10_000


def respond(bucket: Bucket, request: Request, base_url: str) -> Answer:
    """Answer a query by name; 400 for any other filter, 422 for a page outside of the limits.

    Parameters
    ----------
    bucket
        The products.
    request
        The query.
    base_url
        Of the sandbox, for ``@odata.nextLink``.
    """
    parameters = request.parameters()
    names = _NAME.findall(parameters.get("$filter", ""))
    if not _FILTER.fullmatch(parameters.get("$filter", "")):
        return json_answer(400, {"detail": "Invalid value: the sandbox filters by Name eq '…' or … only"})
    page = {}
    for option, default, limit in (("$top", _TOP_DEFAULT, _TOP_MAX), ("$skip", 0, _SKIP_MAX)):
        text = parameters.get(option, str(default))
        if not text.isdecimal() or int(text) > limit:
            return _out_of_range(option, text, limit)
        page[option] = int(text)
    wanted = dict.fromkeys(name.replace("''", "'") for name in names)
    products = [product for name in wanted for product in bucket.named(name) if product.spec.in_catalogue]
    end = page["$skip"] + page["$top"]
    answer: dict[str, Any] = {"@odata.context": "$metadata#Products"}
    if parameters.get("$count", "").lower() in {"true", "1"}:
        answer["@odata.count"] = len(products)
    answer["value"] = [entry(product) for product in products[page["$skip"] : end]]
    if end < len(products) and page["$top"]:
        following = parameters | {"$skip": str(end)}
        query = "&".join(f"{quote(name)}={quote(value)}" for name, value in following.items())
        answer["@odata.nextLink"] = f"{base_url}{PATH}?{query}"
    return json_answer(200, answer)


def entry(product: Product) -> dict[str, Any]:
    """Return the catalogue's entry of a product."""
    published = _stamp(product.published)
    return {
        "@odata.mediaContentType": "application/octet-stream",
        "Id": product.product_id,
        "Name": product.spec.safename,
        "ContentType": "application/octet-stream",
        "ContentLength": product.total_bytes,
        "OriginDate": published,
        "PublicationDate": published,
        "ModificationDate": published,
        "Online": product.spec.online,
        "EvictionDate": "9999-12-31T23:59:59.999999Z",
        "S3Path": product.s3_path,
        "Checksum": [{"Value": _md5(product), "Algorithm": "MD5", "ChecksumDate": published}],
        "ContentDate": {"Start": _stamp(product.name.start), "End": _stamp(product.name.start)},
        "Footprint": None,
        "GeoFootprint": None,
    }


def error_answer(kind: str, retry_after_s: int | None) -> Answer:
    """Return what the catalogue's front says to a fault of `REFUSALS`; 429 as its WAF words it."""
    status, code, message = REFUSALS[kind]
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    if status == 429:
        body: Any = {"error": "WAF", "message": "Rate limit exceeded", "status": 429}
    else:
        body = {"detail": {"message": f"{code}: {message}", "request_id": "sandbox"}}
    return json_answer(status, body, headers)


def _md5(product: Product) -> str:
    """Return the digest of a single object; a folder's would be of its zip, which nobody makes here."""
    if product.is_single_object:
        return product.truth()[product.spec.safename].md5
    return hashlib.md5(product.s3_path.encode()).hexdigest()


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def _out_of_range(option: str, text: str, limit: int) -> Answer:
    detail = {
        "type": "less_than_equal",
        "loc": ["query", option],
        "msg": f"Input should be less than or equal to {limit}",
        "input": text,
        "ctx": {"le": limit},
    }
    return json_answer(422, {"detail": [detail]})
