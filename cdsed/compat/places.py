"""Finding products of a table on disk, and counting them by place: cdsodatacli's ``preproc-`` counters."""

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from cdsed.compat.configuration import archives, spools
from cdsed.local.presence import Presence
from cdsed.model.safename import normalise

Counters = MutableMapping[str, int]


def canonical(name: str) -> str:
    """Return the canonical name that the core uses; empty when `name` is not the name of a product."""
    try:
        return normalise(name)
    except ValueError:
        return ""


class DiskPresence:
    """Looks for products in archives, spools and an output directory, in this order.

    Parameters
    ----------
    conf
        A configuration of cdsodatacli.
    counters
        Updated: ``preproc-archived_product`` (and one per archive), ``preproc-in_spool_product``,
        ``preproc-in_outdir_product``, ``preproc-product_absent_from_local_disks``.
    """

    def __init__(self, outputdir: Path, conf: Mapping[str, Any], counters: Counters) -> None:
        self._archives = Presence([], archives(conf))
        self._spools = Presence(spools(conf), [])
        self._outputdir = Presence([outputdir], [])
        self._counters = counters

    def have(self, safename: str) -> bool:
        """Tell whether one of the places has a complete product, and count it."""
        archived = self._archives.find(safename)
        if archived is not None:
            self.count(f"archive_{'-'.join(str(archived).split('/')[0:3])}")
            self.count("archived_product")
        elif self._spools.find(safename):
            self.count("in_spool_product")
        elif self._outputdir.find(safename):
            self.count("in_outdir_product")
        else:
            self.count("product_absent_from_local_disks")
            return False
        return True

    def count(self, what: str, times: int = 1) -> None:
        """Add to a counter; a new one starts at 0."""
        key = f"preproc-{what}"
        self._counters[key] = self._counters.get(key, 0) + times
