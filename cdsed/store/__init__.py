"""All state, in one SQLite file; the only room that speaks SQL.

``database`` opens and migrates it, ``queries`` reads the ``.sql`` files, and each further module owns one
subject: `products`, `pieces`, `leases`, `breakers`, `listings`, `processes`, `snapshot`. Their functions take a
`Database`; those that write do it in ``BEGIN IMMEDIATE`` and join a transaction that is already open.
"""
