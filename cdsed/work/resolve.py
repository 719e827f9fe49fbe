"""Find the paths of products: from the listing, from their names, else from the catalogue.

Products that need the catalogue are claimed after it has responded: while it is down, they do not change.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

from cdsed.clock import Clock
from cdsed.config.settings import RetrySettings
from cdsed.errors import ServiceError
from cdsed.logevent import LogEvent, about
from cdsed.model.catalogue_entry import Absence, CatalogueEntry, Facts
from cdsed.model.eodata import guess_s3_path
from cdsed.model.families.other import NAME_OF_NOTHING
from cdsed.model.product_state import PathSource, Product, State
from cdsed.model.safename import parse
from cdsed.store import breakers, products, refusals
from cdsed.store.breakers import BreakerPolicy
from cdsed.store.database import Database
from cdsed.store.move import Move
from cdsed.store.products import Found
from cdsed.work.bare_ids import take_name
from cdsed.work.moves import ProductMoves
from cdsed.work.retrying import is_the_sixth, pause_s

_log = logging.getLogger(__name__)

_BATCH = 500
#: A batch and two products that are asked for alone: one name may spoil a batch, and one look-up of its own.
_FAILURES_MIN = 3
_FIRST_S, _LONGEST_S = 5.0, 300.0
_ALONE_FIRST_S, _ALONE_LONGEST_S = 2.0, 300.0
#: What a look at the path that the catalogue names may end with.
_AT_THE_PATH = ("NotListed", "ForeignBucket")
#: After so many looks in vain at the paths that the catalogue names, a product is unavailable.
_NOT_LISTED_MAX = 2


class Finder(Protocol):
    """The look-up in the catalogue that resolving needs."""

    def look_up(self, names: Sequence[str]) -> Facts:
        """Return what the catalogue says of these names."""


class Resolver:
    """Resolves queued products, batch by batch.

    Parameters
    ----------
    process
        This process's number in the database.
    retry
        The attempts of a product, its pauses, and for how long S3 may not list a new one yet.
    """

    def __init__(
        self, db: Database, clock: Clock, catalogue: Finder, process: int, retry: RetrySettings | None = None
    ) -> None:
        self._db = db
        self._clock = clock
        self._catalogue = catalogue
        self._process = process
        retry = retry or RetrySettings()
        self._new_for_s = retry.refused_for_s
        self._moves = ProductMoves(db, clock, retry)
        self._at_once = _BATCH
        self._in_vain: dict[int, ServiceError] = {}  # products asked for alone since the last response

    def resolve_some(self) -> bool:
        """Resolve one batch; return whether there was anything to do."""
        return self._by_name() or self._by_catalogue()

    def _by_name(self) -> bool:
        """Resolve products that do not need the catalogue; mark those that do."""
        queued = products.queued(self._db, _BATCH)
        if not queued:
            return False
        places = {product.id: place for product in queued if (place := _place(product))}
        with self._db.write():
            products.ask_catalogue(self._db, (product.id for product in queued if product.id not in places))
            for product in self._claim(places):
                self._found(product, places[product.id])
        return True

    def _by_catalogue(self) -> bool:
        """Ask the catalogue, unless its breaker is open; products whose look-up fails stay queued."""
        if breakers.is_open(self._db, self._clock, breakers.CATALOGUE):
            return False
        asked = self._to_ask()
        if not asked:
            return False
        try:
            facts = self._catalogue.look_up([product.safename for product in asked])
        except ServiceError as error:
            self._failed(error, asked)
        else:
            self._answered(facts, asked)
        return True

    def _to_ask(self) -> list[Product]:
        """Return the products to ask for next: another one after each probe, because one name may cause the failure.

        A product whose look-up has failed is asked for alone and after all others, so that it delays none: a look-up in
        vain may take minutes.
        """
        queued = products.queued(self._db, _BATCH, asks_catalogue=True, but=self._in_vain)
        if not queued and self._in_vain:
            del self._in_vain[next(iter(self._in_vain))]  # the product that was asked for longest ago is next
            queued = products.queued(self._db, _BATCH, asks_catalogue=True, but=self._in_vain)
        fresh = [product for product in queued if not product.transient_failures]
        return fresh[: self._at_once] or sorted(queued, key=lambda product: product.transient_failures)[:1]

    def _failed(self, error: ServiceError, asked: list[Product]) -> None:
        """Pause if the catalogue fails; if it answers for another name, the fault is that of the product asked for."""
        self._at_once = 1
        first_failure = self._in_vain or not asked[0].transient_failures
        if len(asked) == 1:
            self._in_vain[asked[0].id] = error
        others = products.queued(self._db, 1, asks_catalogue=True, but=self._in_vain)
        decides = len(asked) == 1 and not (others and first_failure) and error.retry_after_s is None
        if decides and self._answers_otherwise():
            with self._db.write():
                breakers.forget(self._db, breakers.CATALOGUE)
                self._put_aside()
            return
        policy = BreakerPolicy(_FAILURES_MIN if others and error.retry_after_s is None else 1, _FIRST_S, _LONGEST_S)
        pause = breakers.fail(self._db, self._clock, breakers.CATALOGUE, policy, error)
        if pause:
            extra = about(LogEvent.SERVICE_OUT)
            _log.warning("the catalogue fails (%s); it is asked again in %.0f s", error, pause, extra=extra)

    def _answers_otherwise(self) -> bool:
        """Tell whether the catalogue answers for a name that no product has."""
        try:
            self._catalogue.look_up([NAME_OF_NOTHING.format(int(self._clock.utc_s()) & 0xFFFF)])
        except ServiceError:
            return False
        return True

    def _put_aside(self) -> None:
        """Let the products wait whose look-up failed while another one succeeded."""
        for product in self._claim(self._in_vain):
            self._wait_alone(product, self._in_vain[product.id])
        self._in_vain.clear()

    def _answered(self, facts: Facts, asked: list[Product]) -> None:
        self._at_once = min(2 * self._at_once, _BATCH)
        if breakers.close(self._db, self._clock, breakers.CATALOGUE):
            _log.info("the catalogue responds again", extra=about(LogEvent.SERVICE_BACK))
        with self._db.write():
            self._put_aside()
            for product in self._claim(product.id for product in asked):
                code, rounds = refusals.last_failure(self._db, product)
                in_vain = rounds if code in _AT_THE_PATH else 0
                absence = facts.absence(product.safename) or self._not_listed(product, facts, code, in_vain)
                if absence:
                    self._missing(product, absence)
                else:
                    self._known(product, facts, in_vain)

    def _known(self, product: Product, facts: Facts, in_vain: int) -> None:
        """Store what the catalogue says of a claimed product."""
        entry = _row_of(facts, product, in_vain)
        by_id = product.safename == product.product_id
        named = take_name(self._db, self._clock, product, entry) if by_id else product
        if named is not None:
            found = Found(
                entry.s3_path,
                PathSource.CATALOGUE,
                product_id=entry.product_id,
                md5=entry.md5,
                size_bytes=entry.size_bytes or None,
            )
            self._found(named, found)

    def _not_listed(self, product: Product, facts: Facts, code: str | None, rounds: int) -> Absence | None:
        """Give a product up of which S3 has listed nothing at the catalogue's paths several times, unless it is new."""
        rows = _rows_of(facts, product)
        if rounds < max(_NOT_LISTED_MAX, len(rows)):
            return None
        if code == "ForeignBucket":
            return Absence(code, product.cause or "")
        entry = rows[0]
        published_at = max((row.published_at for row in rows if row.published_at), default=None)
        age_s = self._clock.utc_s() - published_at.timestamp() if published_at else self._new_for_s
        if age_s < self._new_for_s and not refusals.of(self._db, self._clock, product, self._new_for_s).lasting:
            return None
        return Absence("NotListed", f"the catalogue names {entry.s3_path}, but there is nothing")

    def _wait_alone(self, product: Product, error: ServiceError) -> None:
        """Let a product wait whose look-up failed where another succeeded; the sixth time in a row is an attempt."""
        extra = about(product=product.safename)
        _log.info("%s: the catalogue does not answer for this name: %s", product.safename, error, extra=extra)
        if is_the_sixth(product.transient_failures):
            self._moves.charge(error, product)
            return
        pause = pause_s(product.transient_failures + 1, _ALONE_FIRST_S, _ALONE_LONGEST_S)
        self._moves.wait(error, product, pause, transient_failures=1)

    def _claim(self, chosen: Iterable[int]) -> list[Product]:
        return products.claim_resolving(self._db, self._clock, self._process, chosen)

    def _found(self, product: Product, found: Found) -> None:
        products.resolved(self._db, self._clock, product, found)

    def _missing(self, product: Product, absence: Absence) -> None:
        self._moves.move(product, Move(State.UNAVAILABLE, cause=absence.cause, code=absence.code))


def _row_of(facts: Facts, product: Product, rounds: int) -> CatalogueEntry:
    """Return a row of the catalogue; after each round in vain the next one of several rows."""
    rows = _rows_of(facts, product)
    return rows[rounds % len(rows)]


def _rows_of(facts: Facts, product: Product) -> tuple[CatalogueEntry, ...]:
    return (facts.found[product.safename], *facts.others.get(product.safename, ()))


def _place(product: Product) -> Found | None:
    """Return the path of a product from its listing or its name; None if only the catalogue knows it."""
    if product.s3_path and product.path_source:
        return Found(product.s3_path, product.path_source)
    guessed = guess_s3_path(parse(product.safename))
    return Found(guessed, PathSource.NAME) if guessed else None
