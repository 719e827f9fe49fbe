"""Choose, reserve and check the place where one product is put together and the destination where it appears."""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cdsed.errors import DiskError, OwnedElsewhere, ProductError
from cdsed.frozen import frozen
from cdsed.local import marker
from cdsed.local.space import name_and_free_bytes
from cdsed.logevent import PRESENT
from cdsed.model.objects import Places
from cdsed.model.product_state import Product, State
from cdsed.store import breakers, choices, disks, pauses, pieces, products
from cdsed.store.move import Move
from cdsed.transfer import ownership
from cdsed.transfer.s3_errors import on_disk
from cdsed.work.context import DiskContext
from cdsed.work.failure_action import FailureAction
from cdsed.work.failure_rules import RULES
from cdsed.work.outcome import NO_PLACE

_log = logging.getLogger(__name__)

#: Of what cdsed puts behind the name of a product while it is under way, such as ``.owner`` and ``.copy.gone``.
_SUFFIX_BYTES_MAX = 10


#: Codes that pause a disk, by the table of failures; any other code is reported as EIO.
_PAUSING = frozenset(code for rule in RULES if rule.action is FailureAction.PAUSE_DISK for code in rule.codes)


@frozen
class _Room:
    """A destination that responds, its pre-spool, how long a name may be there, and the bytes that are free."""

    destination: Path
    pre_spool: Path
    name_bytes_max: int
    free_bytes: int


@dataclass(slots=True)
class Destination:
    """The destination of a claimed product; before `choose` it may have none.

    Attributes
    ----------
    product
        The product, with the place that is chosen for it.
    begun
        Whether objects of it are known at that place, of which some bytes may have arrived.
    """

    context: DiskContext
    product: Product
    begun: bool = True

    def settle_if_present(self) -> bool:
        """Finish the product if it is on disk already; return whether it is; False for one that replaces a copy."""
        context, product = self.context, self.product
        if product.replaces:
            return False
        with context.watch.at(product.outputdir or NO_PLACE):
            found = context.presence.find_product(product, Path(product.outputdir) if product.outputdir else None)
        if found is None:
            return False
        _log.info("%s: already at %s", product.safename, found.path, extra=PRESENT)
        begun = product.staging is not None and product.destination is not None
        if begun:
            # This state began the product. Perhaps its directory was not synced when the product was published.
            ownership.complete(context.owners, product, found.path)
        cause = f"waited for: {product.cause.partition(';')[0]}" if product.cause else None
        settled = Move(State.ALREADY_PRESENT, cause=cause, path=str(found.path), partial=found.partial)
        choices.settle(context.db, context.clock, product, settled)
        if begun:
            ownership.release(context.owners, product)
        return True

    def refuse_other(self, *, but: Path | None = None) -> None:
        """Check that no other running cdsed downloads the product to one of its possible destinations.

        Paused disks are skipped: another cdsed that writes there claims the place first. So is `but`, which is ours.

        Raises
        ------
        OwnedElsewhere
            Another cdsed does; the text says which.
        """
        context = self.context
        for destination in (each for each in self._candidates() if each != but):
            if not breakers.is_open(context.db, context.clock, breakers.disk_breaker(str(destination))):
                pre_spool = context.settings.pre_spool_for(destination)
                with context.watch.at(str(destination)):
                    ownership.refuse_other(context.owners, self.product.safename, destination, pre_spool)

    def choose(self, size_bytes: int, paths: Iterable[str] = ()) -> Places:
        """Choose where the product is put together and where it will appear, and reserve `size_bytes` there.

        A product that was begun stays in its place. Otherwise the first destination with enough free bytes is taken.
        A destination that does not respond, is not mounted, or cannot hold a name in `paths`, is skipped.

        Raises
        ------
        DiskError
            No destination can take it.
        ProductError
            No destination can hold its names.
        LeaseLost
            Another worker has claimed the product.
        """
        context, product = self.context, self.product
        candidates = self._candidates()
        places = self._begun(candidates)
        # Disks are checked before the transaction: a disk that hangs must not block the state for other workers.
        rooms, failures = ([], []) if places else self._usable(self._not_paused(candidates))
        with context.db.write(durable=False):  # two products planned at once must not reserve the same bytes
            places = places or self._first_with_room(size_bytes, paths, rooms, failures)
            self.begun = products.choose_place(context.db, product, places, size_bytes)
        self.product = replace(product, staging=places.staging, destination=places.destination)
        return places

    def claim(self) -> None:
        """Check the chosen place once more, and make this state its owner.

        Raises
        ------
        OwnedElsewhere
            Another running cdsed owns it, or downloads the product to another destination.
        DiskError
            Its disk is not the one that was chosen, or the claim cannot be written there.
        """
        context, product = self.context, self.product
        destination = Path(product.destination or "")
        self.check_disk(destination)  # `choose` may have waited long for other writers of the state
        with context.watch.at(str(destination)):
            fresh = ownership.claim(context.owners, product, lambda: products.forget_objects(context.db, product))
            try:
                self.refuse_other(but=destination)
            except OwnedElsewhere:
                ownership.release(context.owners, product, fresh)
                raise

    def check(self) -> bool:
        """Check, before more is written, that the disk is still the same and that this state still owns the place.

        Returns
        -------
        bool
            False if the place had no owner: an older cdsed began it, or another state has owned it meanwhile.

        Raises
        ------
        OwnedElsewhere, DiskError
            As for `claim`.
        """
        destination = self.product.destination or ""
        self.check_disk(Path(destination))
        with self.context.watch.at(destination):
            return ownership.hold(self.context.owners, self.product)

    def check_owner(self) -> None:
        """Check the owner once more, with the staging directory open; raises OSError or OwnedElsewhere."""
        ownership.check(self.context.owners, self.product)

    def release(self) -> None:
        """Release the place of the finished product; if that fails, the janitor does it later."""
        ownership.release(self.context.owners, self.product)

    def check_disk(self, destination: Path) -> None:
        """Check that a destination and its pre-spool are on the same disks as before; remember new ones.

        It reads only a few bytes, so you can call it before each batch of pieces.

        Raises
        ------
        DiskError
            A disk is not mounted, is another one than before, or does not respond.
        """
        context = self.context
        with context.watch.at(str(destination)):
            for place in {destination, context.settings.pre_spool or destination}:
                with on_disk(str(place)):
                    # What is as this process has seen it last needs no look into the state.
                    if (known := context.recognised.get(place)) is not None and marker.look(place) == known:
                        continue
                    known = disks.get(context.db, place)
                    now = marker.recognise(place, known)
                    if now != known:
                        disks.remember(context.db, context.clock, place, now)
                    context.recognised[place] = now

    def _candidates(self) -> list[Path]:
        """Return the directories in which it may appear: that of the copy that it replaces, if there is one."""
        product = self.product
        if product.replaces and product.destination:
            return [Path(product.destination)]
        return [Path(product.outputdir)] if product.outputdir else list(self.context.settings.spools)

    def _not_paused(self, candidates: Sequence[Path]) -> Sequence[Path]:
        """Leave out paused disks; if all are paused, the product was begun before that, and waits where it is put."""
        if len(candidates) == 1:
            return candidates
        return [each for each in candidates if not pauses.disk_is_paused(self.context.db, str(each))] or candidates

    def _begun(self, candidates: Sequence[Path]) -> Places | None:
        """Return where the product was begun, if that directory still exists."""
        context, product = self.context, self.product
        if not product.destination or not product.staging or Path(product.destination) not in candidates:
            return None
        try:
            self.check_disk(Path(product.destination))
        except DiskError as error:
            context.outcome.disk_failed(error, product.destination)
            if pieces.have_all_arrived(context.db, product.id):
                raise  # a worker may have died between rename and commit: a second place would make a duplicate
            return None
        with context.watch.at(product.destination), on_disk(product.staging):
            return Places(product.staging, product.destination) if Path(product.staging).exists() else None

    def _usable(self, candidates: Sequence[Path]) -> tuple[list[_Room], list[DiskError]]:
        """Check each destination that is not paused; return those that respond, and the errors of the others.

        Raises
        ------
        DiskError
            No destination can be used, for another reason than too few free bytes.
        """
        context = self.context
        rooms: list[_Room] = []
        failures: list[DiskError] = []
        for destination in candidates:
            paused = breakers.why_open(context.db, context.clock, breakers.disk_breaker(str(destination)))
            if paused is not None:
                failures.append(DiskError(paused.reason, code=paused.code))
                continue
            try:
                self.check_disk(destination)
                pre_spool = context.settings.pre_spool_for(destination)
                with context.watch.at(str(destination)), on_disk(str(pre_spool)):
                    rooms.append(_Room(destination, pre_spool, *name_and_free_bytes(pre_spool, destination)))
            except DiskError as error:
                context.outcome.disk_failed(error, str(destination))
                failures.append(error)
        if failures and not rooms:
            code = next((error.code for error in failures if error.code in _PAUSING), "EIO")
            message = "; ".join(dict.fromkeys(str(error) for error in failures))
            raise DiskError(message if len(failures) == 1 else f"no spool can be used: {message}", code=code)
        return rooms, failures

    def _first_with_room(
        self, size_bytes: int, paths: Iterable[str], rooms: Sequence[_Room], failures: Sequence[DiskError]
    ) -> Places:
        settings, product = self.context.settings, self.product
        kept_bytes = settings.disk.free_bytes_min
        own_bytes = len(os.fsencode(product.safename)) + _SUFFIX_BYTES_MAX
        needed_bytes = max([own_bytes, *(len(os.fsencode(name)) for path in paths for name in path.split("/"))])
        short = [room for room in rooms if room.name_bytes_max < needed_bytes]
        tried = [str(error) for error in failures]
        tried += [f"{room.destination} holds {room.name_bytes_max} bytes of a name" for room in short]
        if short and len(short) == len(rooms) and not failures:
            needs = f"{product.safename} needs names of {needed_bytes} bytes, and no spool can hold them"
            raise ProductError(f"{needs}: {'; '.join(tried)}; add a spool on another file system", code="NameTooLong")
        for room in rooms:
            if room in short:
                continue
            shared = settings.pre_spool is not None
            where = str(room.destination)
            reserved_bytes = disks.reserved_bytes(self.context.db, where, product.id, everywhere=shared)
            left_bytes = room.free_bytes - reserved_bytes
            if left_bytes >= size_bytes + kept_bytes:
                return Places(str(room.pre_spool / product.safename), where)
            tried.append(f"{room.destination} has {_mb(max(0, left_bytes))} left")
        raise DiskError(
            f"no room for {product.safename}: it needs {_mb(size_bytes)}, and {_mb(kept_bytes)} stay free "
            f"(disk.free_bytes_min); {'; '.join(tried)}",
            code="NoRoom",
        )


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB" if size_bytes >= 10**7 or not size_bytes else f"{size_bytes / 1e6:.3g} MB"
