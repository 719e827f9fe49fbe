"""Listings of JSON lines: each line is one product, or one response with several."""

import json
from collections.abc import Iterator
from typing import BinaryIO

from cdsed.inbox.formats.json_values import is_container, items_in, record
from cdsed.inbox.formats.records import judge
from cdsed.inbox.source import PhysicalLine, physical_lines
from cdsed.model.listing import Ignored, ListingLine, Rejected

# A product with all attributes has 20 000 bytes, a STAC item with all assets 100 000.
_LINE_BYTES_MAX = 1024 * 1024


def are_json_lines(file: BinaryIO) -> bool:
    """Tell whether the first line is a JSON object, but not a response with several, and another object follows."""
    lines = (line for line in physical_lines(file, _LINE_BYTES_MAX) if not _is_blank(line))
    first = next(lines, None)
    if first is None or first.problem:
        return False
    try:
        value = _value(first)
    except ValueError:
        return False
    following = next(lines, None) if isinstance(value, dict) and not is_container(value) else None
    return following is not None and following.text.lstrip().startswith("{")


def read_json_lines(file: BinaryIO, bucket: str) -> Iterator[ListingLine]:
    """Read JSON lines; a line that is not JSON is one rejected line."""
    for line in physical_lines(file, _LINE_BYTES_MAX):
        if line.problem:
            yield Rejected(line.number, "", line.problem)
        elif _is_blank(line):
            yield Ignored(line.number)
        else:
            yield from _products(line, bucket)


def _products(line: PhysicalLine, bucket: str) -> Iterator[ListingLine]:
    try:
        items = list(items_in(_value(line)))
    except ValueError:
        yield Rejected(line.number, "", "is not JSON, as the lines before it", len(line.text))
        return
    if not items:
        yield Ignored(line.number)  # a response without products
    for item in items:
        words = record(item)
        yield from judge(line.number, words, words.text, bucket)


def _value(line: PhysicalLine) -> object:
    try:
        return json.loads(line.text.strip().removesuffix(","))
    except RecursionError as error:
        raise ValueError("too many levels") from error


def _is_blank(line: PhysicalLine) -> bool:
    text = line.text.strip(" \t\x1a\ufeff")
    return not line.problem and (not text or text.startswith("#"))
