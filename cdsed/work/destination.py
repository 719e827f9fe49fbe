"""Where one product is put together and will appear: chosen, reserved, checked, and checked again."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cdsed.errors import DiskError, OwnedElsewhere
from cdsed.local import marker
from cdsed.local.space import free_bytes
from cdsed.model.objects import Places
from cdsed.model.product_state import Product, State
from cdsed.store import breakers, disks, pieces, products
from cdsed.store.products import Move
from cdsed.transfer import ownership
from cdsed.transfer.s3_errors import on_disk
from cdsed.work.context import DiskContext
from cdsed.work.failure_action import FailureAction
from cdsed.work.failure_rules import RULES
from cdsed.work.outcome import NO_PLACE

_log = logging.getLogger(__name__)

#: What makes a product wait for its disk, by the table of failures; any other code is reported as a fault of the disk.
_PAUSING = frozenset(code for rule in RULES if rule.action is FailureAction.PAUSE_DISK for code in rule.codes)


@dataclass(frozen=True, slots=True)
class _Room:
    """A destination that answers, and what is free where its products are put together."""

    destination: Path
    pre_spool: Path
    free_bytes: int


@dataclass(slots=True)
class Destination:
    """The place of a claimed product; before `choose` it may have none.

    Attributes
    ----------
    product
        With the place that is chosen for it.
    """

    context: DiskContext
    product: Product

    def settle_if_present(self) -> bool:
        """Settle the product if it is on disk already; return whether it is."""
        context, product = self.context, self.product
        with context.watch.at(product.outputdir or NO_PLACE):
            found = context.presence.find_now(product.safename, Path(product.outputdir) if product.outputdir else None)
        if found is None:
            return False
        _log.info("%s: already at %s", product.safename, found)
        begun = product.staging is not None and product.destination is not None
        if begun:
            # This state began it, and perhaps its directory could not be synced when it appeared.
            ownership.complete(context.owners, product, found)
        cause = f"waited for: {product.cause.partition(';')[0]}" if product.cause else None
        products.move(context.db, context.clock, product, Move(State.ALREADY_PRESENT, cause=cause, path=str(found)))
        if begun:
            ownership.release(context.owners, product)
        return True

    def refuse_other(self) -> None:
        """Make sure that no living state downloads the product to where it might go, other than its own place.

        Paused disks are skipped: a state that writes there claims the place first.

        Raises
        ------
        OwnedElsewhere
            One does; the text says which.
        """
        context = self.context
        for destination in [Path(self.product.outputdir)] if self.product.outputdir else context.settings.spools:
            if not breakers.is_open(context.db, context.clock, breakers.disk_breaker(str(destination))):
                pre_spool = context.settings.pre_spool_for(destination)
                with context.watch.at(str(destination)):
                    ownership.refuse_other(context.owners, self.product.safename, destination, pre_spool)

    def choose(self, size_bytes: int) -> Places:
        """Choose where the product is put together and where it will appear, and reserve `size_bytes` there.

        It continues where it was begun; otherwise the first destination with room for it is taken. One that does not
        answer, or is not mounted, is skipped.

        Raises
        ------
        DiskError
            No destination can take it.
        LeaseLost
            Another worker has claimed the product.
        """
        context, product = self.context, self.product
        candidates = [Path(product.outputdir)] if product.outputdir else list(context.settings.spools)
        places = self._begun(candidates)
        # Disks are asked before the transaction: one that hangs must not hold up everything else.
        rooms, failures = ([], []) if places else self._usable(candidates)
        with context.db.write():  # two products planned at once must not count on the same room
            places = places or self._first_with_room(size_bytes, rooms, failures)
            products.choose_place(context.db, product, places, size_bytes)
        self.product = replace(product, staging=places.staging, destination=places.destination)
        return places

    def claim(self) -> None:
        """Check the chosen place once more, and become its owner.

        Raises
        ------
        OwnedElsewhere
            A living state owns it, or downloads the product to another destination.
        DiskError
            Its disk is not the one that was chosen, or does not take it.
        """
        context, product = self.context, self.product
        destination = Path(product.destination or "")
        self.check_disk(destination)  # to choose a place may have taken long: others write to the state, too
        with context.watch.at(str(destination)):
            fresh = ownership.claim(context.owners, product, lambda: products.forget_objects(context.db, product))
            try:
                self.refuse_other()
            except OwnedElsewhere:
                ownership.release(context.owners, product, fresh)
                raise

    def check(self) -> bool:
        """Make sure, before more is written, that the disk is the one it was and the place is still this state's.

        Returns
        -------
        bool
            False if the place had no owner: it was begun by an older cdsed, or another state has owned it meanwhile.

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
        """Make sure once more, with the staging directory open; OSError, OwnedElsewhere."""
        ownership.check(self.context.owners, self.product)

    def release(self) -> None:
        """Give the place of the finished product back; what fails is left to the janitor."""
        ownership.release(self.context.owners, self.product)

    def check_disk(self, destination: Path) -> None:
        """Make sure that a destination, and its staging, are the directories they were; remember new ones.

        It costs a read of a few bytes, so it may be called before each batch of pieces.

        Raises
        ------
        DiskError
            A disk is not mounted, another one stands in its place, or it does not answer.
        """
        context = self.context
        with context.watch.at(str(destination)):
            for place in {destination, context.settings.pre_spool or destination}:
                with on_disk(str(place)):
                    known = disks.get(context.db, place)
                    now = marker.recognise(place, known)
                    if now != known:
                        disks.remember(context.db, context.clock, place, now)

    def _begun(self, candidates: Sequence[Path]) -> Places | None:
        """Return where the product was begun, if that is still there."""
        context, product = self.context, self.product
        if not product.destination or not product.staging or Path(product.destination) not in candidates:
            return None
        try:
            self.check_disk(Path(product.destination))
            with context.watch.at(product.destination), on_disk(product.staging):
                return Places(product.staging, product.destination) if Path(product.staging).exists() else None
        except DiskError as error:
            context.outcome.disk_failed(error, product.destination)
            if pieces.have_all_arrived(context.db, product.id):
                raise  # a worker may have died between its rename and its commit: elsewhere, it would be there twice
            return None

    def _usable(self, candidates: Sequence[Path]) -> tuple[list[_Room], list[DiskError]]:
        """Ask each destination that is not paused; return those that answer, and what is wrong with the others.

        Raises
        ------
        DiskError
            None of them can be used at all, which is not for lack of room.
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
                    rooms.append(_Room(destination, pre_spool, free_bytes(pre_spool)))
            except DiskError as error:
                context.outcome.disk_failed(error, str(destination))
                failures.append(error)
        if failures and not rooms:
            code = next((error.code for error in failures if error.code in _PAUSING), "EIO")
            message = "; ".join(dict.fromkeys(str(error) for error in failures))
            raise DiskError(message if len(failures) == 1 else f"no spool can be used: {message}", code=code)
        return rooms, failures

    def _first_with_room(self, size_bytes: int, rooms: Sequence[_Room], failures: Sequence[DiskError]) -> Places:
        settings, product = self.context.settings, self.product
        kept_bytes = settings.disk.free_bytes_min
        tried = [str(error) for error in failures]
        for room in rooms:
            shared = settings.pre_spool is not None
            where = str(room.destination)
            reserved_bytes = products.reserved_bytes(self.context.db, where, product.id, everywhere=shared)
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
