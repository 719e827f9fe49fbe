"""All state, in one SQLite file; the only package with SQL.

``database`` opens and migrates it, ``queries`` reads the ``.sql`` files, and each other module owns one subject:
`products`, `pieces`, `leases`, `breakers`, `listings`, `processes`, `snapshot`. Their functions take a `Database`.
Functions that write use ``BEGIN IMMEDIATE``, or join a transaction that is already open.
"""
