"""The names of cdsodatacli, for scripts written against it: ``import cdsed.compat.download`` and so on.

Every function keeps its name, parameters, defaults and results; the work is done by the core of cdsed. What
differs, because it was a defect, is listed in ``docs/from-cdsodatacli.md``.
"""
