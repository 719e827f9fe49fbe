"""Reading one page of a list of objects (ListObjectsV2); a response that is anything else is refused."""

import re
from collections.abc import Iterator
from urllib.parse import unquote, unquote_plus
from xml.etree.ElementTree import Element

from cdsed.errors import ServiceError
from cdsed.frozen import frozen
from cdsed.transfer.genuine import error_code, is_page, parsed, tag

_CUT_LISTING = re.compile(rb"\s*(<\?xml[^>]*>)?\s*<ListBucketResult\b")
_SIZE = re.compile(r"[0-9]{1,18}")  # the state holds no more than 2**63 - 1
#: An ETag without its quotes. It is sent back in a header.
ETAG = re.compile(r"[!#-~]{1,128}")


@frozen
class ListRequest:
    """The bucket and prefix of a list request; `what` names it in messages."""

    what: str
    bucket: str
    prefix: str


@frozen
class PageEntry:
    """One object of a page, as the service describes it; nothing of it has been checked."""

    key: str
    size: str
    etag: str

    def checked(self) -> tuple[int, str]:
        """Return its size in bytes and its ETag; ValueError if one of them cannot be."""
        if not _SIZE.fullmatch(self.size) or not ETAG.fullmatch(self.etag):
            raise ValueError(f"{self.key!r:.200} has the size {self.size!r:.30} and the ETag {self.etag!r:.100}")
        return int(self.size), self.etag


@frozen
class ListPage:
    """The objects of one page, and where the list continues; '' on the last page."""

    objects: tuple[PageEntry, ...]
    continuation: str


def read_list_page(content_type: str | None, body: bytes, asked: ListRequest) -> ListPage:
    """Read a response with status 200, and make sure that it is a page of the requested list of objects.

    Raises
    ------
    ServiceError
        ``ProxyResponse``: it is something else. ``InvalidResponse``: it is cut off, an error of S3, an object in it
        is not described, or it says that more follow, but not where.
    """
    root = None if is_page(content_type) else parsed(body)
    if root is None:
        if _CUT_LISTING.match(body) and not is_page(content_type):
            raise unreadable(asked.what, "it is cut off, or not valid XML")
        raise _foreign(asked, "something else" if body.strip() else "nothing")
    if tag(root) == "Error":
        raise unreadable(asked.what, f"S3 answers the error {error_code(body) or 'without a code'} under status 200")
    if tag(root) != "ListBucketResult":
        raise _foreign(asked, "something else")
    listed = tuple(_children(root, "Contents"))
    _check_request(root, asked, is_empty=not listed)
    decode = unquote_plus if _text(root, "EncodingType") == "url" else str
    objects = tuple(
        PageEntry(
            decode(_value(item, "Key", asked)), _value(item, "Size", asked), _value(item, "ETag", asked).strip('"')
        )
        for item in listed
    )
    return ListPage(objects, _continuation(root, asked))


def unreadable(what: str, why: str) -> ServiceError:
    """Return the error for a list that cannot be read; `why` may quote the service."""
    printable = "".join(character if character.isprintable() else " " for character in why[:300])
    return ServiceError(f"the list of {what} cannot be read: {printable}", code="InvalidResponse")


def _check_request(root: Element, asked: ListRequest, *, is_empty: bool) -> None:
    """Refuse the list of another bucket or prefix."""
    bucket, prefix = _text(root, "Name"), _text(root, "Prefix")
    if bucket is not None and bucket != asked.bucket:
        raise _foreign(asked, "the list of another bucket")
    # With encoding-type=url some servers encode it, some do not, and some write + for a space.
    if prefix is not None and asked.prefix not in (prefix, unquote(prefix), unquote_plus(prefix)):
        raise _foreign(asked, "the list of another prefix")
    # Object keys show which prefix they belong to. An empty list counts only if the page names its bucket and prefix.
    if (bucket is None or prefix is None) and is_empty:
        raise _foreign(asked, "an empty list that does not name its bucket and prefix")


def _continuation(root: Element, asked: ListRequest) -> str:
    """Return the token of the next page, or '' if this page is the last one."""
    more, token = _text(root, "IsTruncated"), _text(root, "NextContinuationToken") or ""
    truncated = ("false" if more is None else more).strip().lower() or "false"
    if truncated not in ("true", "false") or (truncated == "true" and not token) or (more is None and token):
        raise unreadable(asked.what, "it does not say where it continues")
    return token if truncated == "true" else ""


def _value(item: Element, name: str, asked: ListRequest) -> str:
    """Return the text of the one element of an object that has this name."""
    found = list(_children(item, name))
    if len(found) != 1:
        raise unreadable(asked.what, f"an object in it has {len(found)} elements {name}")
    return found[0].text or ""


def _children(element: Element, name: str) -> Iterator[Element]:
    """Yield the children of this name, in whatever namespace: a server may leave it out, or have another one."""
    return (child for child in element if child.tag.rpartition("}")[2] == name)


def _text(root: Element, name: str) -> str | None:
    child = next(_children(root, name), None)
    return None if child is None else child.text or ""


def _foreign(asked: ListRequest, got: str) -> ServiceError:
    message = f"asked for the list of {asked.what}, something on the way to S3 answered {got}"
    return ServiceError(f"{message}; look at proxies and firewalls, and at services.s3_url", code="ProxyResponse")
