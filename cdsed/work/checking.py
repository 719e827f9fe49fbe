"""Check that the state, the disks and the processes agree: `cdsed check --state`.

It only reads. A daemon that runs changes disks and processes between two checks. So what seems wrong outside of the
database is checked several times, and only what is wrong every time is reported.
"""

import json
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.settings import Settings
from cdsed.errors import InboxError
from cdsed.inbox.parse import read_listing
from cdsed.local.intact import judge
from cdsed.local.whole import is_whole
from cdsed.model.product_state import SUCCEEDED
from cdsed.process.lock import is_free
from cdsed.store import audit
from cdsed.store.audit import OnDisk, TakenListing, Violation
from cdsed.store.database import Database
from cdsed.store.state_id import known_state_id
from cdsed.transfer.ownerfile import FOLDER, Owner
from cdsed.transfer.owners import Owners
from cdsed.transfer.publish import REPLACED

#: The supervisor reclaims what dead workers held every second, later on a loaded machine, and for the first time after
#: it has examined the state. A violation that all of these checks find is reported.
AGAIN_AFTER_S, AGAIN_MOST = 4.0, 5

#: A daemon removes the orphan of a product on another disk within a minute after that disk responds again.
_TIDIED_WITHIN_S = 180.0

_WHOLE_LATEST = 1000
_KEPT_ASIDE = frozenset({"quarantine", REPLACED, FOLDER})


@dataclass(slots=True)
class Checked:
    """What was checked, and what was found.

    Attributes
    ----------
    violations
        What is wrong.
    products, opened, listings
        How many products were looked for on disk, how many of them (the latest) had their content checked, and how
        many listings were checked.
    gone
        How many of the products have left their path: their owner took them away.
    left_by_dead_workers
        How many leases and workers are left of a daemon that died. The next daemon reclaims them at its start.
    replaced
        How many files and directories were moved aside to publish products; they are kept beside the staging.
    unseen
        Staging directories that this user may not read: only the daemon's user may.
    others
        How many products each other state, with its own daemon, downloads to the same places.
    """

    violations: list[Violation] = field(default_factory=list)
    products: int = 0
    opened: int = 0
    listings: int = 0
    gone: int = 0
    left_by_dead_workers: int = 0
    replaced: int = 0
    unseen: list[str] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)


def check_state(
    db: Database, settings: Settings, *, runs: bool, every: bool, wait: Callable[[float], object]
) -> Checked:
    """Compare the state with its own rules, with the disks and with the processes that run.

    Parameters
    ----------
    runs
        Whether the daemon's lock is held.
    every
        Check the content of every product and every listing, not only of the latest thousand products.
    wait
        Waits so many seconds. It is called before a check is repeated while a daemon runs.
    """
    of_the_database = audit.rules_broken(db)
    checked = _look_outside(db, settings, runs=runs, every=every)
    again = 0
    while runs and checked.violations and again < AGAIN_MOST:
        wait(AGAIN_AFTER_S)
        again += 1
        before = set(checked.violations)
        checked = _look_outside(db, settings, runs=runs, every=every)
        checked.violations = [violation for violation in checked.violations if violation in before]
    checked.violations[:0] = of_the_database
    return checked


def _look_outside(db: Database, settings: Settings, *, runs: bool, every: bool) -> Checked:
    checked = Checked()
    _look_at_processes(db, settings, checked, died=not runs and not audit.stopped_in_order(db))
    _look_at_listings(db, checked, every=every)
    _look_at_products(db, settings, checked, every=every)
    places = {*settings.spools, *audit.outputdirs(db)}
    owners = Owners(Owner(known_state_id(settings.state_dir)))
    for folder in sorted({settings.pre_spool_for(place) for place in places} | {place / ".cdsed" for place in places}):
        if os.path.lexists(folder) and not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
            checked.unseen.append(str(folder))
            continue
        _, others = owners.owned(folder)
        for owner in others.values():
            checked.others[str(owner)] = checked.others.get(str(owner), 0) + 1
        by = SYSTEM_CLOCK.utc_s() - (_TIDIED_WITHIN_S if runs else 0)
        checked.violations += _orphans(db, folder, by, others.keys())
        checked.replaced += len(_names(folder / REPLACED))
    return checked


def _look_at_processes(db: Database, settings: Settings, checked: Checked, *, died: bool) -> None:
    for held in audit.held(db, settings.session_lock):
        if not is_free(held.lock):
            continue
        if died:
            checked.left_by_dead_workers += 1
            continue
        checked.violations.append(
            Violation(
                held.rule,
                held.subject,
                f"no running process holds {held.lock}",
                "restart the daemon, which reclaims what dead workers held; and please report it",
            )
        )


def _look_at_listings(db: Database, checked: Checked, *, every: bool) -> None:
    for listing in audit.listings_taken(db):
        checked.listings += 1
        subject = f"listing {listing.name}"
        if listing.open and not listing.path.exists():
            text, remedy = f"{listing.path} is gone", "put the file back: without it the state cannot be rebuilt"
            checked.violations.append(Violation("listing", subject, text, remedy))
        if message := _receipt_tells(listing):
            checked.violations.append(
                Violation("receipt", subject, message, "believe `cdsed status`; and please report it")
            )
        if every and listing.path.exists():
            lines = _items(listing.path)
            if lines != listing.items_taken:
                text = f"{listing.path} has {lines} lines, of which {listing.items_taken} were taken"
                checked.violations.append(Violation("lines", subject, text, "drop the file once more: it was changed"))


def _receipt_tells(listing: TakenListing) -> str | None:
    """Return how a receipt differs from the state; None if it agrees, or if its owner has removed it."""
    path = listing.path.with_name(f"{listing.path.name}.receipt.json")
    try:
        counts = json.loads(path.read_text(encoding="utf-8"))["counts"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        return f"{path} cannot be read: {error}"
    lines = counts.pop("lines", None)
    known = {name: getattr(listing.counts, name) for name in counts}
    if counts == known and lines == listing.counts.lines:
        return None
    return f"{path} says {counts} of {lines} lines, and the state says {known}"


def _items(path: Path) -> int:
    """Count the items of a listing as intake does: the place from which it cannot be read counts as the last item."""
    items = 0
    try:
        for _line in read_listing(path):
            items += 1
    except InboxError:
        items += 1
    return items


def _look_at_products(db: Database, settings: Settings, checked: Checked, *, every: bool) -> None:
    places = list(dict.fromkeys([*settings.spools, *audit.outputdirs(db)]))
    opened_from = 0 if every else audit.newest(db) - _WHOLE_LATEST
    for product in audit.on_disk(db):
        checked.products += 1
        if not os.path.lexists(product.path):
            checked.gone += 1
            continue
        if len(places) > 1 and not product.partial:
            checked.violations += _duplicate(product, places)
        if product.position > opened_from:
            checked.opened += 1
            if not _is_good(product):
                checked.violations.append(_incomplete(product))


def _is_good(product: OnDisk) -> bool:
    path = Path(product.path)
    if not product.partial:
        return is_whole(path, product.safename)
    try:
        return judge(path, product.safename, thorough=False).as_taken
    except OSError:
        return False


def _duplicate(product: OnDisk, places: list[Path]) -> Iterator[Violation]:
    folder, name = os.path.split(product.path)
    for place in places:
        other = os.path.join(place, name)  # noqa: PTH118 - millions of them: a Path each takes seconds
        if folder != str(place) and os.path.lexists(other):
            yield Violation(
                "duplicate",
                product.safename,
                f"it is at {product.path} and at {other}",
                "remove one of the two, unless you made the copy on purpose; else please report it",
            )


def _incomplete(product: OnDisk) -> Violation:
    return Violation(
        "incomplete",
        product.safename,
        f"it is {product.state}, but the copy at {product.path} is incomplete",
        "remove it and drop its listing again; please report it, unless a user has changed the files",
    )


def _orphans(db: Database, folder: Path, by: float, others: Collection[str]) -> Iterator[Violation]:
    """Yield what is left in a staging directory of products that were finished elsewhere before `by` (UTC s).

    Products of `others`, which other states download, are skipped.
    """
    for name in sorted(_names(folder) - _KEPT_ASIDE):
        state = audit.state_of(db, name.removesuffix(".copy"), by)
        if state in SUCCEEDED and name.removesuffix(".copy") not in others:
            text = f"{folder / name} is left, although the product is {state}"
            yield Violation("orphan", name, text, "remove it: no product needs it; and please report it")


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))  # noqa: PTH208 - only the names are needed
    except (FileNotFoundError, NotADirectoryError):
        return set()
