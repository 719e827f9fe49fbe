"""Which products are verified together, and what follows when a batch does not come to its end: rules without I/O.

A batch is some seconds of work, so that what it costs to hand it out does not matter. A worker that dies may have died
of a product. So what it had is tried again alone on a worker. A batch over which that one dies, too, is halved, until
one product is left, which is given up. All others are verified.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from cdsed.verification.batch_wire import BatchAnswer, FoundProblem, Subject, VerdictKind

_WANTED_S = 5.0
_PRODUCTS_MAX = 1000
# A first guess of what verification takes; measured batches correct it.
_GUESSED_S, _GUESSED_BYTES_PER_S, _GUESSED_SIZE_BYTES = 0.01, 200e6, 100e6
_SMOOTHING = 0.3
# Many small products that were fast say little of large ones.
_CORRECTION_MIN, _CORRECTION_MAX = 0.1, 1000.0
# What slow disks need, as multiples of the guess: 5 MB/s, with large products where the size is unknown.
_SLOW_TIMES, _LARGE_SIZE_BYTES = 40.0, 20e9
#: After so many of its own failures a product is given up.
_TRIES_MAX = 2


@dataclass(frozen=True, slots=True)
class ProductBatch:
    """Products that are verified together.

    Attributes
    ----------
    alone
        Whether its worker shall have nothing else meanwhile.
    tries
        How often its products could not be verified, for reasons that may be their own.
    guess_s
        How long it was expected to take, before any correction.
    """

    number: int
    products: tuple[Subject, ...]
    guess_s: float
    alone: bool = False
    tries: int = 0


class BatchQueue:
    """The batches that are still to be verified; products are read only when they are needed."""

    def __init__(self, products: Iterator[Subject]) -> None:
        self._products = products
        self._numbers = count(1)
        self._again: deque[ProductBatch] = deque()
        self._correction = 1.0
        self._measured = 0
        self._read = False

    @property
    def is_empty(self) -> bool:
        """Whether every product was handed out, and none came back."""
        return self._read and not self._again

    def next(self, *, idle: bool) -> ProductBatch | None:
        """Return a batch for a worker; `idle`: that has nothing else to do. None: it has to wait."""
        for _ in range(len(self._again)):
            batch = self._again.popleft()
            if idle or not batch.alone:
                return batch
            self._again.append(batch)
        return self._cut()

    def slow_s(self, batch: ProductBatch) -> float:
        """Return how long a batch takes on slow disks."""
        guess_s = sum(_guess_s(each, _LARGE_SIZE_BYTES) for each in batch.products)
        return _SLOW_TIMES * max(self._correction, 1.0) * guess_s

    def measured(self, batch: ProductBatch, seconds: float) -> None:
        """Take how long a batch took."""
        self._measured += 1
        weight = max(_SMOOTHING, 1 / self._measured)
        correction = self._correction + weight * (seconds / batch.guess_s - self._correction)
        self._correction = min(max(correction, _CORRECTION_MIN), _CORRECTION_MAX)

    def put_back(self, batch: ProductBatch) -> None:
        """Take back a batch that was not begun, or that its worker refused."""
        self._again.append(replace(batch, number=next(self._numbers)))

    def changed(self, products: tuple[Subject, ...]) -> None:
        """Take products that were moved or fetched again meanwhile."""
        if products:
            self._put(products, alone=False, tries=0)

    def suspect(self, batch: ProductBatch) -> None:
        """Take back a batch whose worker is gone, and had others, too."""
        self.put_back(replace(batch, alone=True))

    def failed(self, batch: ProductBatch, why: str, node: str) -> BatchAnswer | None:
        """Take back a batch at which its worker failed or is late; return an answer if its one product is given up."""
        if len(batch.products) > 1:
            half = len(batch.products) // 2
            for products in (batch.products[:half], batch.products[half:]):
                self._put(products, alone=True, tries=0)
            return None
        return self._tried(batch.products, batch.tries + 1, why, node)

    def unread(self, batch: ProductBatch, answer: BatchAnswer) -> tuple[tuple[Subject, ...], BatchAnswer]:
        """Take back what could not be read; return the products that are judged, and the answer about these."""
        unread = {each.position for each in answer.problems if each.finding is VerdictKind.UNREADABLE}
        if not unread or batch.tries + 1 >= _TRIES_MAX:
            return batch.products, answer
        again = tuple(each for each in batch.products if each.position in unread)
        self._put(again, alone=False, tries=batch.tries + 1)
        judged = tuple(each for each in batch.products if each.position not in unread)
        kept = tuple(each for each in answer.problems if each.position not in unread)
        return judged, replace(answer, problems=kept)

    def _tried(self, products: tuple[Subject, ...], tries: int, why: str, node: str) -> BatchAnswer | None:
        if tries < _TRIES_MAX:
            self._put(products, alone=True, tries=tries)
            return None
        problems = (
            FoundProblem(each.position, each.safename, each.path, VerdictKind.UNREADABLE, (why,), node)
            for each in products
        )
        return BatchAnswer(node, problems=tuple(problems))

    def _put(self, products: tuple[Subject, ...], *, alone: bool, tries: int) -> None:
        self._again.append(ProductBatch(next(self._numbers), products, sum(map(_guess_s, products)), alone, tries))

    def _cut(self) -> ProductBatch | None:
        """Read as many products as some seconds of work are."""
        products: list[Subject] = []
        guess_s = expected_s = 0.0
        for each in self._products:
            products.append(each)
            guess_s += _guess_s(each)
            # What is unknown may be large, even if all were small so far.
            correction = self._correction if each.size_bytes is not None else max(self._correction, 1.0)
            expected_s += correction * _guess_s(each)
            if expected_s >= _WANTED_S or len(products) >= _PRODUCTS_MAX:
                break
        else:
            self._read = True
        return ProductBatch(next(self._numbers), tuple(products), guess_s) if products else None


def _guess_s(subject: Subject, unknown_bytes: float = _GUESSED_SIZE_BYTES) -> float:
    size_bytes = unknown_bytes if subject.size_bytes is None else subject.size_bytes
    return _GUESSED_S + size_bytes / _GUESSED_BYTES_PER_S


def stamps(products: Sequence[Subject]) -> tuple[tuple[int, int], ...]:
    """Return position and stamp of each product, as the progress file has them."""
    return tuple((each.position, each.stamp) for each in products)
