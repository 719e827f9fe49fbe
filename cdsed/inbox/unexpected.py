"""Refuse files that are not listings, such as an accounts file or a key that was dropped by mistake.

They are refused as a whole: no part of them gets into the state or a receipt.
"""

import re
from collections.abc import Iterable
from io import BytesIO
from typing import BinaryIO

from cdsed.errors import InboxError
from cdsed.inbox.source import UTF8_BOM, physical_lines
from cdsed.model.quoting import UUID, holds_like_a_name

_HEAD_BYTES = 1024 * 1024
_MARKUP = re.compile(rb"\s*(<[!?A-Za-z]|-----BEGIN )")
_COMMENT = re.compile(r"(?:^|(?<=[\r\n]))[ \t]*#[^\r\n]*")
# The last alternative matches a response without products.
_OF_A_CATALOGUE = re.compile(r'"@odata\.|"FeatureCollection"|"(?:value|features)"\s*:\s*\[\s*\]')
_IDS = re.compile(rf"(?:[ \t,;'\"]*(?:https?://[^\s,;]+\bProducts\()?{UUID}(?:\)[^\s,;]*)?)+[ \t,;'\"]*")
# An array of ids, or the member of a catalogue's product. Other services write "id", beside their secrets.
_IDS_IN_JSON = re.compile(rf'(?:^|[\r\n])\s*\[\s*"{UUID}"|"(?:Id|uuid)"\s*:\s*"{UUID}"')
# Tables of other things may have the columns `id` and `name`, too.
_COLUMNS = frozenset({"safename", "safe", "s3path", "s3_path"})
_AMBIGUOUS = frozenset({"id", "name"})


def refuse_unexpected(file: BinaryIO, name: str, *, is_json: bool) -> None:
    """Check that the beginning of a file, up to 1 MiB, is like a listing.

    Blank lines, comments, and lines that are too long are not considered.

    Raises
    ------
    InboxError
        It is not like a listing; the text quotes no part of the file.
    """
    head = file.read(_HEAD_BYTES).removeprefix(UTF8_BOM)
    if _MARKUP.match(head):
        raise InboxError(f"{name} does not look like a listing, but like a page, XML or a key; {_remedy()}")
    text = head.decode(errors="replace")
    if "#" in text:
        text = _COMMENT.sub("", text)
    if holds_like_a_name(text) or (is_json and _shows_a_catalogue(text)):
        return
    if is_json or _is_strange(line.text for line in physical_lines(BytesIO(head)) if not _is_long(line.problem)):
        raise InboxError(
            f"{name} does not look like a listing: it has no text like the name of a product, such as "
            f"S1A_IW_GRDH_1SDV_…SAFE; {_remedy()}"
        )


def _is_strange(lines: Iterable[str]) -> bool:
    """Tell whether lines without product names have more than comments and a header."""
    content = (text for line in lines if (text := line.strip(" \x1a")).strip() and not text.startswith("#"))
    first = next(content, "")
    if _IDS.fullmatch(first):
        return not all(_IDS.fullmatch(each) for each in content)
    header = {field.strip(" '\"").lower() for field in re.split(r"[,;\t]", first)}
    if header & _COLUMNS or header == {""}:
        return False
    if header & {"id", "uuid"} and "name" not in header:
        return False  # `read_rows` gives a better message for such a header
    return not header & _AMBIGUOUS or next(content, None) is not None


def _shows_a_catalogue(text: str) -> bool:
    return _OF_A_CATALOGUE.search(text) is not None or _IDS_IN_JSON.search(text) is not None


def _is_long(problem: str | None) -> bool:
    return problem is not None and problem.endswith("KiB")


def _remedy() -> str:
    return "if it holds passwords or keys, delete it and change them"
