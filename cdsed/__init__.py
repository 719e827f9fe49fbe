"""cdsed brings Copernicus Sentinel products to your disks: whole, verified, each exactly once.

Someone drops a *listing* into the *inbox*; a *supervisor* that runs for months sees to it that every
product it names appears in the *spool*.

Words, one per thing, in code, columns, logs and documents alike
----------------------------------------------------------------
listing
    A file someone dropped: lines that name products. Its identity is the hash of its content.
product, safename
    One SAFE, SEN3 or nc product; known by its basename, e.g. ``S1A_IW_SLC__1SDV_…_08A8.SAFE``.
account, group
    A CDSE login with its S3 keys; a named set of accounts that a listing may use.
session, lease
    The right to hold exactly one connection to CDSE on one account; a session held by a worker,
    with a *fence* number that only grows.
piece
    One ranged GET of one object: the unit of transfer.
pre-spool, spool, archive
    Private staging on the file system of the spool; where finished products appear; trees of
    products by date that are searched so that nothing is fetched twice.
receipt, report
    What the owner of a listing gets at once, and when its last product is finished.
attempt, fault_domain
    One try charged to a product; whose fault a failure was.

Rooms, and the one way imports point
------------------------------------
``cli``, ``compat``, ``api``, ``foreground``, ``daemon``, ``roles`` -> ``view``, ``work``, ``schedule`` ->
``credentials`` -> ``store``, ``local``, ``inbox``, ``catalogue``, ``transfer`` -> ``model``, ``config`` ->
``errors``, ``clock``, ``log``.
``process`` (supervision) and ``sandbox`` (a CDSE on loopback) stand apart. ``tests/architecture`` holds this.

In Python
---------
`search`, `resolve`, `download`, `status` and `verify`, from `cdsed.api`; ``import cdsed`` alone loads no library.
"""

from typing import TYPE_CHECKING, Any

from cdsed._version import __version__

if TYPE_CHECKING:
    from cdsed.api import download, resolve, search, status, verify

__all__ = ["__version__", "download", "resolve", "search", "status", "verify"]


def __getattr__(name: str) -> Any:
    """Load the functions of the API when they are first asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'cdsed' has no attribute {name!r}")
    from cdsed import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
