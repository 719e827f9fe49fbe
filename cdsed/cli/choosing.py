"""Find the listings and products that a command names: by name, path or pattern."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cdsed.errors import UsageError

if TYPE_CHECKING:
    from cdsed.store.database import Database

NAMES_HELP = "the name of a listing or product, or a pattern for both, such as 'S1A_*'"


def is_pattern(name: str) -> bool:
    """Tell whether a name is a pattern, as a shell has them."""
    return any(character in name for character in "*?[")


@dataclass(slots=True)
class Chosen:
    """The numbers of listings and products, each once."""

    listings: list[int] = field(default_factory=list)
    products: list[int] = field(default_factory=list)

    def every_product(self, db: "Database") -> list[int]:
        """Return the products, and those of the listings."""
        from cdsed.store import selection

        return list(dict.fromkeys([*self.products, *selection.products_of(db, self.listings)]))


def choose(db: "Database", names: Iterable[str]) -> Chosen:
    """Return what the names mean; a pattern means every listing and every product that it matches.

    Raises
    ------
    UsageError
        Neither a listing nor a product has such a name.
    """
    from cdsed.store import selection
    from cdsed.view.read import details_of
    from cdsed.view.status_view import ListingDetails

    listings: dict[int, None] = {}
    products: dict[int, None] = {}
    for name in names:
        if exact := is_pattern(name) and _listings_with(db, name):  # its own name has such characters
            listings |= dict.fromkeys(exact)
        elif is_pattern(name):
            some, more = selection.listings_like(db, name), selection.products_like(db, name)
            if not some and not more:
                raise UsageError(f"no listing and no product matches {name!r}")
            listings |= dict.fromkeys(some)
            products |= dict.fromkeys(more)
        elif isinstance(found := details_of(db, name), ListingDetails):
            head = found.listing.head
            listings |= dict.fromkeys(selection.open_listings_named(db, head.name) or [head.id])
        else:
            products[found.product.id] = None
    return Chosen(list(listings), list(products))


def _listings_with(db: "Database", name: str) -> list[int]:
    """Return the listings with exactly this name: the open ones, else the last."""
    from cdsed.store import listings, selection

    found = listings.find(db, name)
    return [] if found is None else selection.open_listings_named(db, found.head.name) or [found.head.id]


def listings_named(db: "Database", name: str) -> list[int]:
    """Return the listings with a name, or that match a pattern; raises UsageError if there are none."""
    chosen = _listings_with(db, name) or choose(db, [name]).listings  # a product may have the same name
    if not chosen:
        raise UsageError(f"no listing matches {name!r}")
    return chosen
