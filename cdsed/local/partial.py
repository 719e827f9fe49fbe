"""The marker in a product on disk that was fetched in part; see `cdsed.model.part_marker`."""

from contextlib import suppress
from pathlib import Path

from cdsed.local.contents import read_plain
from cdsed.model.part_marker import MARKER, Partial, parse

_BYTES_MAX = 64 * 2**20


def is_marked(product: Path) -> bool:
    """Tell whether a path has a product that was fetched in part; False also if it cannot be read."""
    return (product / MARKER).is_file()


def read_marker(product: Path) -> Partial | None:
    """Return what the marker of a product says; None without one that can be read."""
    with suppress(OSError):
        return parse(read_plain(product / MARKER, _BYTES_MAX))
    return None
