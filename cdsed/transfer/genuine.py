"""Telling responses of S3 from those of a proxy, a firewall, a login page or another service.

A response of S3 may make a product unavailable. So a response counts as one of S3 only if it has the form that S3
uses.
"""

import re
from xml.etree.ElementTree import Element

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_CODE = re.compile(r"[A-Za-z0-9.]{1,80}")
_FOREIGN_TYPE = re.compile(r"\s*(text/html|application/(xhtml\+xml|([\w.-]+\+)?json))\b", re.IGNORECASE)
_FOREIGN_BEGINNING = re.compile(
    rb"\s*(<!doctype\s+html|<html|[{\[]|(<\?xml[^>]*>)?\s*<(Error|ListBucketResult|html)\b)", re.IGNORECASE
)
BEGINNING_BYTES = 512


def error_code(body: bytes) -> str:
    """Return the ``Code`` of an S3 error document; '' for anything else, such as a page or half a document."""
    root = parsed(body)
    if root is None or tag(root) != "Error":
        return ""
    code = next((child.text or "" for child in root if tag(child) == "Code"), "")
    return code if _CODE.fullmatch(code) else ""


def is_page(content_type: str | None) -> bool:
    """Tell whether a response is declared as a page or JSON; S3 never declares its own responses so."""
    return _FOREIGN_TYPE.match(content_type or "") is not None


def begins_foreign(beginning: bytes) -> bool:
    """Tell whether the first bytes of an object are in fact those of a page, of JSON, or of an S3 document."""
    return not beginning.strip() or _FOREIGN_BEGINNING.match(beginning) is not None


def parsed(body: bytes) -> Element | None:
    """Return the root of an XML document; None for one that is not valid, or has a DOCTYPE."""
    try:
        root: Element = defusedxml.ElementTree.fromstring(body, forbid_dtd=True)
    except (DefusedXmlException, SyntaxError, ValueError, LookupError):  # ParseError is a SyntaxError
        return None
    return root


def tag(element: Element) -> str:
    """Return the name of an element of S3; that of another namespace has it before the name."""
    return element.tag.removeprefix(_NAMESPACE)
