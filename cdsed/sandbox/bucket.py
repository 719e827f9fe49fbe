"""The bucket ``eodata``: its products, and their objects in the order of S3."""

import threading
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Iterator

from cdsed.sandbox.products import Change, ProductSpec, SandboxObject, SandboxProduct

_CACHED_PRODUCTS = 2_000


class Bucket:
    """All products of one sandbox, by name and by object key; for an unused product only the spec is in memory.

    Parameters
    ----------
    seed
        Decides the content of every object.
    added
        Called with every product that is added.
    """

    def __init__(self, seed: int, added: Callable[[SandboxProduct], None]) -> None:
        self.seed = seed
        self._added = added
        self._lock = threading.RLock()
        self._specs: dict[str, ProductSpec] = {}  # by sort key
        self._sort_keys: list[str] = []  # sorted
        self._by_id: dict[str, str] = {}  # product id -> sort key
        self._by_name: dict[str, list[str]] = {}  # safename -> sort keys
        self._changes: dict[str, Change] = {}
        self._cache: OrderedDict[str, SandboxProduct] = OrderedDict()

    def add(self, spec: ProductSpec) -> SandboxProduct:
        """Add a product, or replace the one at the same path; ValueError when it cannot be made."""
        product = SandboxProduct(self.seed, spec, self._changes)
        key = product.sort_key
        with self._lock:
            if key not in self._specs:
                insort(self._sort_keys, key)
                self._by_name.setdefault(spec.safename, []).append(key)
            self._by_id[product.product_id] = key
            self._specs[key] = spec
            self._cache.pop(key, None)
        self._added(product)
        return product

    def named(self, safename: str) -> list[SandboxProduct]:
        """Return the products of that name; more than one when it is at several paths."""
        with self._lock:
            return [self._product(key) for key in self._by_name.get(safename, ())]

    def identified(self, product_id: str) -> SandboxProduct | None:
        """Return the product with this id in the catalogue."""
        with self._lock:
            key = self._by_id.get(product_id)
            return self._product(key) if key else None

    def get(self, key: str) -> SandboxObject | None:
        """Return the object with exactly this key, listed or not."""
        product = self._product_at(key)
        if product is None or not product.spec.is_on_eodata:
            return None
        return product.objects.get(key)

    def listing(self, prefix: str, after: str) -> Iterator[SandboxObject]:
        """Yield the listed objects whose keys begin with `prefix` and come after `after`, in order."""
        with self._lock:
            first = max(bisect_left(self._sort_keys, prefix), bisect_left(self._sort_keys, after))
            last = bisect_left(self._sort_keys, f"{prefix}\U0010ffff")
            # the previous product may have keys that begin with the prefix or come after `after`
            keys = self._sort_keys[max(0, first - 1) : last]
        for sort_key in keys:
            product = self._product(sort_key)
            if product.spec.is_on_eodata and product.spec.listed:
                for key, stored in product.objects.items():
                    if key > after and key.startswith(prefix):
                        yield stored

    def change(self, key: str, *, same_content: bool) -> None:
        """Give the object at `key` a new ETag, and other content unless `same_content`."""
        with self._lock:
            product = self._product_at(key)
            if product is not None:
                before = self._changes.get(key)
                self._changes[key] = Change(before.variant + 1 if before else 1, same_content)
                self._cache.pop(product.sort_key, None)

    def _product_at(self, key: str) -> SandboxProduct | None:
        with self._lock:
            index = bisect_left(self._sort_keys, key)
            for sort_key in self._sort_keys[max(0, index - 1) : index + 1]:
                if key == sort_key or (sort_key.endswith("/") and key.startswith(sort_key)):
                    return self._product(sort_key)
        return None

    def _product(self, sort_key: str) -> SandboxProduct:
        with self._lock:
            product = self._cache.get(sort_key)
            if product is None:
                product = SandboxProduct(self.seed, self._specs[sort_key], self._changes)
                self._cache[sort_key] = product
                if len(self._cache) > _CACHED_PRODUCTS:
                    self._cache.popitem(last=False)
            self._cache.move_to_end(sort_key)
            return product
