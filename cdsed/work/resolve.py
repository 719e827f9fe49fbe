"""Finding out where products lie: by the listing's own word, by their names, else by the catalogue."""

import logging
from collections.abc import Sequence
from typing import Protocol

from cdsed.clock import Clock
from cdsed.errors import ServiceError
from cdsed.model.catalogue import Absence, Facts
from cdsed.model.eodata import guess_s3_path
from cdsed.model.product import PathSource, Product, State
from cdsed.model.safename import parse
from cdsed.store import products
from cdsed.store.database import Database
from cdsed.store.products import Found, Move
from cdsed.work.retrying import pause_s

_log = logging.getLogger(__name__)

_BATCH = 500
_FIRST_S, _LONGEST_S = 5.0, 900.0


class Finder(Protocol):
    """What resolving asks of the catalogue."""

    def look_up(self, names: Sequence[str]) -> Facts:
        """Return what the catalogue says of these names."""


class Resolver:
    """Resolves queued products, batch by batch.

    Parameters
    ----------
    process
        This process's number in the database.
    """

    def __init__(self, db: Database, clock: Clock, catalogue: Finder, process: int) -> None:
        self._db = db
        self._clock = clock
        self._catalogue = catalogue
        self._process = process

    def resolve_some(self) -> bool:
        """Resolve one batch; return whether there was anything to do."""
        claimed = products.claim_resolving(self._db, self._clock, self._process, _BATCH)
        to_ask = []
        with self._db.write():
            for product, path_refuted in claimed:
                guessed = None if path_refuted else guess_s3_path(parse(product.safename))
                if product.s3_path and product.path_source:
                    self._found(product, Found(product.s3_path, product.path_source))
                elif guessed:
                    self._found(product, Found(guessed, PathSource.NAME))
                else:
                    to_ask.append(product)
        if to_ask:
            self._ask(to_ask)
        return bool(claimed)

    def _ask(self, asked: list[Product]) -> None:
        try:
            facts = self._catalogue.look_up([product.safename for product in asked])
        except ServiceError as error:
            _log.warning("%d products wait for the catalogue: %s", len(asked), error)
            with self._db.write():
                for product in asked:
                    pause = max(error.retry_after_s or 0.0, pause_s(product.setbacks + 1, _FIRST_S, _LONGEST_S))
                    due_s = self._clock.boot_s() + pause
                    move = Move(State.WAITING, cause=str(error), code=error.code, due_s=due_s, setbacks=1)
                    products.move(self._db, self._clock, product, move)
            return
        with self._db.write():
            for product in asked:
                absence = facts.absence(product.safename)
                if absence:
                    self._missing(product, absence)
                    continue
                entry = facts.found[product.safename]
                found = Found(
                    entry.s3_path,
                    PathSource.CATALOGUE,
                    product_id=entry.product_id,
                    md5=entry.md5,
                    size_bytes=entry.size_bytes or None,
                )
                self._found(product, found)

    def _found(self, product: Product, found: Found) -> None:
        products.resolved(self._db, self._clock, product, found)

    def _missing(self, product: Product, absence: Absence) -> None:
        _log.info("%s: %s", product.safename, absence.cause)
        products.move(self._db, self._clock, product, Move(State.MISSING, cause=absence.cause, code=absence.code))
