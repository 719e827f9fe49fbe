"""A CDSE on loopback: S3 `eodata`, the OData catalogue by name, quotas per account, and faults on demand.

It is independent on purpose: it imports only `errors`, `clock` and `log` of cdsed, and has a second implementation of
names, paths and signatures, so that a mistake on one side is not repeated on the other.
"""
