"""Products that a listing is the first to name: they are entered together, because listings may have a million."""

import json
from collections.abc import Collection, Sequence

from cdsed.clock import Clock
from cdsed.model.listing import ListingHead, Named
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("new_products")


def known(db: Database, names: Collection[str]) -> set[str]:
    """Return those of the names that products have."""
    return {row["safename"] for row in db.rows(_SQL.known, names=json.dumps(list(names)))}


def add(db: Database, clock: Clock, head: ListingHead, lines: Sequence[Named]) -> None:
    """Queue the products of these lines, in their order, and note that the listing wants them.

    Parameters
    ----------
    lines
        Of different names, which no product has yet.
    """
    if not lines:
        return
    rows = json.dumps([(name, uuid, path) if uuid or path else name for _, name, uuid, path, _ in lines])
    numbers = json.dumps([line.line for line in lines])
    choice = head.choice
    with db.write(), db.without_triggers():
        at = clock.utc_s()
        db.rows(
            _SQL.add,
            rows=rows,
            listing=head.id,
            account_group=head.group,
            priority=head.priority,
            outputdir=head.outputdir,
            at=at,
            layout=head.layout,
            choice=choice.to_json() if choice else None,
        )
        first = db.value(_SQL.first, products=len(lines))
        db.rows(_SQL.want, lines=numbers, listing=head.id, first=first)
        db.rows(_SQL.tell, lines=numbers, first=first, at=at)
        db.rows(_SQL.tally, products=len(lines), listing=head.id)
        db.rows(_SQL.join_backlog, listing=head.id, first=first)
