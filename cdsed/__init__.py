"""cdsed downloads Copernicus Sentinel products to your disks: complete, verified, each exactly once.

You drop a *listing* into the *inbox*. A *supervisor* runs for months, and its workers bring every product that the
listing names into the *spool*.

Words: one for each thing, in code, columns, logs and documents
---------------------------------------------------------------
listing
    A file of lines that name products. Its identity is the hash of its content.
product, safename
    One SAFE, SEN3 or nc product; known by its basename, e.g. ``S1A_IW_SLC__1SDV_…_08A8.SAFE``.
account, group
    A CDSE login with its S3 keys; a named set of accounts that a listing may use.
session, lease
    The right to hold exactly one connection to CDSE on one account; a session that a worker holds,
    with a *fence* number that only grows.
head, holder
    The daemon's machine; a process, perhaps on another machine, that has the connection of one session.
piece
    One ranged GET of one object: the unit of transfer.
pre-spool, spool, archive
    Private staging on the file system of the spool; the directory where finished products appear;
    trees of products by date, which cdsed searches so that it fetches nothing twice.
receipt, report
    The file that the owner of a listing gets at once; the file that follows when the last product is finished.
attempt, fault domain
    One failure that is charged to a product; whose fault a failure was.

Packages, and the direction of imports
--------------------------------------
``cli``, ``compat``, ``api``, ``foreground``, ``daemon``, ``roles`` -> ``view``, ``engine``, ``schedule`` -> ``work`` ->
``credentials`` -> ``store``, ``local``, ``inbox``, ``catalogue``, ``transfer`` -> ``model``, ``config`` ->
``errors``, ``clock``, ``frozen``, ``log``.
``process`` (supervision) and ``sandbox`` (a CDSE on loopback) stand apart. ``tests/architecture`` checks this.

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
    """Load the functions of the API at their first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'cdsed' has no attribute {name!r}")
    from cdsed import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
