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
    What the owner of a listing gets at once, and when its last product is settled.
attempt, blame
    One try charged to a product; whose fault a failure was.

Rooms, and the one way imports point
------------------------------------
``cli``, ``roles`` -> ``work``, ``schedule`` -> ``store``, ``local``, ``inbox``, ``catalogue``,
``transfer`` -> ``model``, ``config`` -> ``errors``, ``clock``, ``log``. ``process`` (supervision)
and ``sandbox`` (a CDSE on loopback) stand apart. ``tests/architecture`` holds this.
"""

__version__ = "0.1.0"
