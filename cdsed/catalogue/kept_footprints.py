"""Footprints that the daemon has got while it resolved products, for the map of the page; at most 20 MB of them."""

import json
import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path

from cdsed.model.catalogue_entry import CatalogueEntry

_BYTES_MAX = 20_000_000
_DECIMALS = re.compile(r"(\.\d{3})\d+")  # a hundred metres are enough for a map

_log = logging.getLogger(__name__)


def keep(directory: Path, found: Mapping[str, CatalogueEntry]) -> None:
    """Write the footprints of catalogue entries, in the form of a response, and remove the oldest beyond the limit.

    Nothing depends on these files: if they cannot be written, that is logged, and raises no error.

    Parameters
    ----------
    directory
        Where the files are; made with the first one.
    found
        The entries, by the name that the state has.
    """
    rows = [
        {"Name": name, "Footprint": _DECIMALS.sub(r"\1", entry.footprint_wkt)}
        for name, entry in found.items()
        if entry.footprint_wkt
    ]
    if not rows:
        return
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = directory / f"{time.time_ns()}.json"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps({"value": rows}, separators=(",", ":")), encoding="utf-8")
        draft.replace(path)
        _limit(directory)
    except OSError as error:
        _log.warning("footprints for the map are not kept: %s", error)


def _limit(directory: Path) -> None:
    size_bytes = 0
    for path in sorted(directory.iterdir(), reverse=True):  # names are times, so that the newest comes first
        size_bytes += path.stat().st_size
        if size_bytes > _BYTES_MAX:
            path.unlink()
