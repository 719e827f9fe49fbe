"""The marker of a product that was fetched in part: a file in its directory, which says what was taken.

It is written before the first byte arrives, and published with the product in one rename. A product
that is moved takes its marker along.
"""

import json
from collections.abc import Iterable
from typing import Protocol

from cdsed.frozen import frozen
from cdsed.model.choice import Choice
from cdsed.model.eodata import safe_segments
from cdsed.model.objects import ListedObject

MARKER = "cdsed-partial.json"
_SCHEMA = 1


class _Sizes(Protocol):
    def size_bytes(self, path: str) -> int | None:
        """Return the size of a file of a product; None if it does not exist."""


@frozen
class Partial:
    """What was taken of a product.

    Attributes
    ----------
    choice
        What was asked for.
    files
        Sizes in bytes of the files that were taken, by path.
    left_out
        The files of the service that were not.
    size_bytes
        Of the marker itself.
    """

    choice: Choice
    files: dict[str, int]
    left_out: tuple[str, ...]
    size_bytes: int

    def satisfies(self, choice: Choice | None) -> bool:
        """Tell whether everything that a choice wants was taken; None wants the whole product."""
        return choice is not None and not any(map(choice.wants, self.left_out))

    def absent(self, files: _Sizes) -> list[str]:
        """Return, one sentence each, which files that were taken are not there with their size."""
        return [f"{path} is not as it was taken" for path, size in self.files.items() if files.size_bytes(path) != size]

    def __str__(self) -> str:
        count = len(self.left_out)
        return f"it was fetched in part ({self.choice}): {count} {'file was' if count == 1 else 'files were'} left out"


def content(choice: Choice, taken: Iterable[ListedObject], left_out: Iterable[ListedObject]) -> bytes:
    """Return the content of the marker."""
    marker = {
        "schema": _SCHEMA,
        "what": "cdsed fetched only the files below of this product, as a listing or the settings asked",
        "choice": json.loads(choice.to_json()),
        "files": [{"path": item.path, "size_bytes": item.size_bytes} for item in taken],
        "left_out": [item.path for item in left_out],
    }
    return json.dumps(marker, indent=1).encode() + b"\n"


def parse(data: bytes) -> Partial | None:
    """Read the content of a marker; None if it is damaged."""
    try:
        marker = json.loads(data)
        choice = Choice.from_json(json.dumps(marker["choice"]))
        files = {"/".join(safe_segments(each["path"])): int(each["size_bytes"]) for each in marker["files"]}
        left_out = tuple("/".join(safe_segments(path)) for path in marker["left_out"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if marker["schema"] != _SCHEMA or choice is None or not files or not left_out:
        return None
    return Partial(choice, files, left_out, len(data))
