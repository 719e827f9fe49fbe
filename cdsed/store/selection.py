"""Find what a command names: listings, products and accounts, by their names or by patterns."""

import json
from collections.abc import Iterable

from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("selection")


def products_like(db: Database, pattern: str) -> list[int]:
    """Return the numbers of the products whose names match a pattern, with or without their extension."""
    return [row["id"] for row in db.rows(_SQL.products, pattern=_glob(pattern))]


def listings_like(db: Database, pattern: str) -> list[int]:
    """Return the numbers of the listings whose file names match a pattern."""
    return [row["id"] for row in db.rows(_SQL.listings, pattern=_glob(pattern))]


def open_listings_named(db: Database, name: str) -> list[int]:
    """Return the numbers of the open listings with a file name or path: a file may have been dropped twice."""
    return [row["id"] for row in db.rows(_SQL.open_listings_named, name=name)]


def products_of(db: Database, listings: Iterable[int]) -> list[int]:
    """Return the numbers of the products that listings want."""
    return [row["id"] for row in db.rows(_SQL.products_of, listings=json.dumps(list(listings)))]


def accounts(db: Database) -> list[str]:
    """Return the accounts of the accounts file."""
    return [row["name"] for row in db.rows(_SQL.accounts)]


def outputdirs(db: Database) -> list[str]:
    """Return the output directories that listings asked for."""
    return [row["outputdir"] for row in db.rows(_SQL.outputdirs)]


def _glob(pattern: str) -> str:
    """Return a pattern of the shell as SQLite has it, where ``^`` negates a set."""
    return pattern.replace("[!", "[^")
