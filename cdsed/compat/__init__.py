"""The names of cdsodatacli, for scripts written against it: ``import cdsed.compat.download`` and so on.

Every function keeps its name, parameters, defaults and results; the core of cdsed does the work. The differences, which
correct defects, are listed in ``docs/from-cdsodatacli.md``; the console scripts in ``docs/console-scripts.md``.
"""

from cdsed._version import __version__
from cdsed.compat.query import fetch_data

__all__ = ["__version__", "fetch_data"]
