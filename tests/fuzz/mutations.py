"""Ways to damage bytes and JSON: what a broken disk, a cut connection or an attacker makes of them."""

import json
from typing import Any

from hypothesis import strategies as st

_PIECES = [
    *(b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b",", b"\\", b"{", b"}", b"[" * 150, b"\xed\xa0\x80"),
    *(b"1e999", b"NaN", b"-1", b"null", b"9" * 5000, b'"\\ud800"', b"<!DOCTYPE x>", b"&", b"&amp;"),
    *(b"../", b"%00", b"\x1b[2J", b"\xe2\x80\xa8"),
]
STRANGE = [
    None,
    True,
    -1,
    0,
    1.5,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "\0",
    "\ud800",
    "x" * 5000,
    [],
    {},
    [None],
    [[]],
]


@st.composite
def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """Cut, double, replace or add up to six stretches of some bytes."""
    spoilt = bytearray(content)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(spoilt)))
        to = min(len(spoilt), at + draw(st.sampled_from([0, 1, 2, 8, 64, 1000])))
        match draw(st.sampled_from(["replace", "insert", "double", "cut", "flip"])):
            case "replace":
                spoilt[at:to] = draw(st.sampled_from(_PIECES))
            case "insert":
                spoilt[at:at] = draw(st.one_of(st.sampled_from(_PIECES), st.binary(max_size=20)))
            case "double":
                spoilt[at:at] = spoilt[at:to]
            case "cut":
                del spoilt[at:to]
            case "flip" if at < len(spoilt):
                spoilt[at] ^= 1 << draw(st.integers(0, 7))
    return bytes(spoilt)


def documents() -> st.SearchStrategy[Any]:
    """Any JSON, some of it with the members that answers of the catalogue have."""
    keys = st.one_of(
        st.sampled_from(["value", "features", "Name", "Id", "S3Path", "properties", "title"]), st.text(max_size=5)
    )
    leaves = st.one_of(st.sampled_from(STRANGE), st.text(max_size=20), st.integers(), st.floats())
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=5)),
        max_leaves=20,
    )


@st.composite
def restructured(draw: st.DrawFn, document: Any) -> Any:
    """Give up to three places of a JSON document another type, or take them away."""
    spoilt = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(spoilt))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        if draw(st.booleans()):
            holder[key] = draw(st.sampled_from(STRANGE))
        else:
            del holder[key]
    return spoilt


def _places(document: Any) -> Any:
    """Yield every place of a document, as what holds it and its key there."""
    pairs = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in list(pairs):
        yield document, key
        yield from _places(value)
