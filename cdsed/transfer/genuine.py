"""Telling responses of S3 from those of a proxy, a firewall, a login page or another service.

A response of S3 may make a product unavailable. So a response counts as one of S3 only if it has the form that S3
uses.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus
from xml.etree.ElementTree import Element

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from cdsed.errors import ServiceError

_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_CODE = re.compile(r"[A-Za-z0-9.]{1,80}")
_FOREIGN_TYPE = re.compile(r"\s*(text/html|application/(xhtml\+xml|([\w.-]+\+)?json))\b", re.IGNORECASE)
_FOREIGN_BEGINNING = re.compile(
    rb"\s*(<!doctype\s+html|<html|[{\[]|(<\?xml[^>]*>)?\s*<(Error|ListBucketResult|html)\b)", re.IGNORECASE
)
_CUT_LISTING = re.compile(rb"\s*(<\?xml[^>]*>)?\s*<ListBucketResult\b")
BEGINNING_BYTES = 512


@dataclass(frozen=True, slots=True)
class ListRequest:
    """The bucket and prefix of a list request; `what` names it in messages."""

    what: str
    bucket: str
    prefix: str


def error_code(body: bytes) -> str:
    """Return the ``Code`` of an S3 error document; '' for anything else, such as a page or half a document."""
    root = _parsed(body)
    if root is None or _tag(root) != "Error":
        return ""
    code = _text(root, "Code") or ""
    return code if _CODE.fullmatch(code) else ""


def check_listing(content_type: str | None, body: bytes, asked: ListRequest) -> None:
    """Make sure that a response with status 200 is a page of the requested list of objects.

    Raises
    ------
    ServiceError
        ``ProxyResponse``: it is something else. ``InvalidResponse``: it is cut off, an error of S3, or a page that says
        that more follow, but not where.
    """
    root = None if is_page(content_type) else _parsed(body)
    if root is None:
        if _CUT_LISTING.match(body) and not is_page(content_type):
            raise _unreadable(asked, "it is cut off, or not valid XML")
        raise _foreign(asked, "something else" if body.strip() else "nothing")
    if _tag(root) == "Error":
        raise _unreadable(asked, f"S3 answers the error {error_code(body) or 'without a code'} under status 200")
    if _tag(root) != "ListBucketResult":
        raise _foreign(asked, "something else")
    bucket, prefix = _text(root, "Name"), _text(root, "Prefix")
    if bucket is not None and bucket != asked.bucket:
        raise _foreign(asked, "the list of another bucket")
    # With encoding-type=url some servers encode it, some do not, and some write + for a space.
    if prefix is not None and asked.prefix not in (prefix, unquote(prefix), unquote_plus(prefix)):
        raise _foreign(asked, "the list of another prefix")
    # Object keys show which prefix they belong to. An empty list counts only if the page names its bucket and prefix.
    if (bucket is None or prefix is None) and _child(root, "Contents") is None:
        raise _foreign(asked, "an empty list that does not name its bucket and prefix")
    more = (_text(root, "IsTruncated") or "false").strip().lower()
    if more not in ("true", "false") or (more == "true" and not _text(root, "NextContinuationToken")):
        raise _unreadable(asked, "it does not say where it continues")


def is_page(content_type: str | None) -> bool:
    """Tell whether a response is declared as a page or JSON; S3 never declares its own responses so."""
    return _FOREIGN_TYPE.match(content_type or "") is not None


def begins_foreign(beginning: bytes) -> bool:
    """Tell whether the first bytes of an object are in fact those of a page, of JSON, or of an S3 document."""
    return not beginning.strip() or _FOREIGN_BEGINNING.match(beginning) is not None


def _parsed(body: bytes) -> Element | None:
    try:
        root: Element = defusedxml.ElementTree.fromstring(body, forbid_dtd=True)
    except (DefusedXmlException, SyntaxError, ValueError, LookupError):  # ParseError is a SyntaxError
        return None
    return root


def _tag(element: Element) -> str:
    return element.tag.removeprefix(_NAMESPACE)


def _child(root: Element, name: str) -> Element | None:
    return next((child for child in root if _tag(child) == name), None)


def _text(root: Element, name: str) -> str | None:
    child = _child(root, name)
    return None if child is None else child.text or ""


def _foreign(asked: ListRequest, got: str) -> ServiceError:
    message = f"asked for the list of {asked.what}, something on the way to S3 answered {got}"
    return ServiceError(f"{message}; look at proxies and firewalls, and at services.s3_url", code="ProxyResponse")


def _unreadable(asked: ListRequest, why: str) -> ServiceError:
    return ServiceError(f"the list of {asked.what} cannot be read: {why}", code="InvalidResponse")
