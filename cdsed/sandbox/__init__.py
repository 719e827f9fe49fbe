"""A CDSE on loopback: S3 `eodata`, the OData catalogue by name, quotas per account, and faults on demand.

It stands apart on purpose: of cdsed it imports `errors`, `clock` and `log` only, and knows names, paths and
signatures by its own second implementation, so that a mistake on one side is not repeated on the other.
"""
