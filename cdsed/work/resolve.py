"""Finding out where products lie: by the listing's own word, by their names, else by the catalogue.

Products that only the catalogue knows are claimed when it has answered: while it is out, nothing of them changes.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

from cdsed.clock import Clock
from cdsed.errors import ServiceError
from cdsed.model.catalogue import Absence, Facts
from cdsed.model.eodata import guess_s3_path
from cdsed.model.product import PathSource, Product, State
from cdsed.model.safename import parse
from cdsed.store import breakers, products
from cdsed.store.breakers import Cooling
from cdsed.store.database import Database
from cdsed.store.products import Found, Move
from cdsed.work.retrying import pause_s

_log = logging.getLogger(__name__)

_BATCH = 500
_FIRST_S, _LONGEST_S = 5.0, 300.0
#: An answer that concerns the names asked for, until names alone are refused one after the other.
_REFUSALS = frozenset({"BadQuery", "Refused"})
_REFUSED_THRESHOLD = 3
_REFUSED_LONGEST_S = 900.0


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
        self._at_once = _BATCH

    def resolve_some(self) -> bool:
        """Resolve one batch; return whether there was anything to do."""
        return self._by_name() or self._by_catalogue()

    def _by_name(self) -> bool:
        """Resolve what needs no catalogue; set apart what does."""
        queued = products.queued(self._db, _BATCH)
        if not queued:
            return False
        places = {product.id: place for product in queued if (place := _place(product))}
        with self._db.write():
            products.ask_catalogue(self._db, [product for product in queued if product.id not in places])
            for product in self._claim([product for product in queued if product.id in places]):
                self._found(product, places[product.id])
        return True

    def _by_catalogue(self) -> bool:
        if breakers.is_open(self._db, self._clock, breakers.CATALOGUE):
            return False
        asked = products.queued(self._db, self._at_once, asks_catalogue=True)
        if not asked:
            return False
        try:
            facts = self._catalogue.look_up([product.safename for product in asked])
        except ServiceError as error:
            self._at_once = 1  # probes are small, and whichever name is at fault is found
            if error.code not in _REFUSALS or len(asked) == 1:
                self._failed(error, asked)
        else:
            self._at_once = min(2 * self._at_once, _BATCH)
            self._answered(facts, asked)
        return True

    def _failed(self, error: ServiceError, asked: list[Product]) -> None:
        """Leave the catalogue alone for a while; a name that it refuses waits by itself, and others are asked for."""
        refused = error.code in _REFUSALS
        cooling = Cooling(_REFUSED_THRESHOLD if refused else 1, _FIRST_S, _LONGEST_S)
        with self._db.write():
            for product in self._claim(asked) if refused else []:
                pause = pause_s(product.setbacks + 1, _FIRST_S, _REFUSED_LONGEST_S)
                due_s = self._clock.boot_s() + pause
                move = Move(State.WAITING, cause=str(error), code=error.code, due_s=due_s, setbacks=1)
                products.move(self._db, self._clock, product, move)
            pause = breakers.fail(self._db, self._clock, breakers.CATALOGUE, cooling, error)
        if pause:
            _log.warning("the catalogue is in trouble (%s); it is asked again in %.0f s", error, pause)

    def _answered(self, facts: Facts, asked: list[Product]) -> None:
        if breakers.close(self._db, self._clock, breakers.CATALOGUE):
            _log.info("the catalogue answers again")
        with self._db.write():
            for product in self._claim(asked):
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

    def _claim(self, chosen: list[Product]) -> list[Product]:
        return products.claim_resolving(self._db, self._clock, self._process, chosen)

    def _found(self, product: Product, found: Found) -> None:
        products.resolved(self._db, self._clock, product, found)

    def _missing(self, product: Product, absence: Absence) -> None:
        _log.info("%s: %s", product.safename, absence.cause)
        products.move(self._db, self._clock, product, Move(State.MISSING, cause=absence.cause, code=absence.code))


def _place(product: Product) -> Found | None:
    """Return where a product lies by the listing's word, or by its name."""
    if product.s3_path and product.path_source:
        return Found(product.s3_path, product.path_source)
    guessed = guess_s3_path(parse(product.safename))
    return Found(guessed, PathSource.NAME) if guessed else None
