"""The footprint that a product's manifest states: Sentinel-1, -2 and -3 write it as pairs of latitude and longitude."""

import math
import re
from collections.abc import Iterator
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

_LISTS = ("coordinates", "posList")
_SEPARATORS = re.compile(r"[\s,]+")


def footprint_of(manifest: bytes) -> str | None:
    """Return the area that a manifest states, as WKT with the longitude first.

    Returns
    -------
    str or None
        A POLYGON, or a MULTIPOLYGON if the product has several frames. None if it states none that can be read.
    """
    try:
        root = fromstring(manifest, forbid_dtd=True)
    except (DefusedXmlException, ParseError, ValueError, LookupError):
        return None
    rings = []
    for element in root.iter():  # comments and instructions are not in the tree
        if element.tag.rpartition("}")[2] in _LISTS and element.text:
            ring = list(_ring(element.text))
            if len(ring) < 4:
                return None
            rings.append(f"(({', '.join(ring)}))")
    if not rings:
        return None
    return f"POLYGON {rings[0]}" if len(rings) == 1 else f"MULTIPOLYGON ({', '.join(rings)})"


def _ring(text: str) -> Iterator[str]:
    """Yield the points of a closed ring; nothing if the text is not a list of points."""
    try:
        numbers = [float(word) for word in _SEPARATORS.split(text.strip())]
    except ValueError:
        return
    points = list(zip(numbers[::2], numbers[1::2], strict=False))
    if len(numbers) % 2 or not all(math.isfinite(each) for each in numbers) or len(points) < 3:
        return
    if not all(-90 <= latitude <= 90 for latitude, _ in points):
        return
    closed = points if points[0] == points[-1] else [*points, points[0]]
    yield from (f"{longitude:.9g} {latitude:.9g}" for latitude, longitude in closed)
