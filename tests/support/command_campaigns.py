"""Walks of a product that was cancelled, or is fetched again: what is killed at each of their points."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from cdsed.clock import SYSTEM_CLOCK
from cdsed.store import cancelling
from cdsed.store.database import join_state
from cdsed.work.refetch import refetch
from tests.support.campaign import KILL, Campaign
from tests.support.daemon import Installation
from tests.support.injection import Point, Walker

_DAMAGE = b"not what was published"


class Refetching(Campaign):
    """A product that was published, then damaged on the disk, and is fetched again."""

    def prepare(self, lab: Installation, walker: Walker) -> None:
        """Publish it, damage the copy, and fetch it again."""
        ending = walker.walk(lab.root / "said", lab.config)
        assert ending.code == 0, ending.said
        _damaged(lab.spool / self.safename).write_bytes(_DAMAGE)
        with closing(join_state(lab.state)) as db:
            [done] = refetch(db, SYSTEM_CLOCK, [1], [lab.spool], None)
        assert done.refused is None

    def events(self, finished: str) -> list[str]:
        """It is published twice, and so is the report."""
        return [*super().events("done"), *super().events(finished)]

    def wrong_copy(self, lab: Installation) -> list[str]:
        """Return what is wrong where neither the former copy nor the new one is there whole."""
        found = super().wrong_at_the_end(lab)
        former = _damaged(lab.spool / self.safename)
        return found if len(found) != 1 or former.read_bytes() != _DAMAGE else []

    def wrong_at_the_end(self, lab: Installation) -> list[str]:
        """Return what is wrong unless the new copy is there, and the former one is set aside."""
        aside = [path.name for path in (lab.spool / ".cdsed" / "replaced").iterdir()]
        wrong = [] if aside == [f"{self.safename}.1"] else [f"set aside are {aside}"]
        return [*super().wrong_at_the_end(lab), *wrong]


class Cancelling(Campaign):
    """A product that is cancelled after the process that fetched it was killed.

    Parameters
    ----------
    killed_at
        Chooses the point of its way at which that was.
    finished
        How it ends.
    """

    def __init__(
        self, root: Path, kind: str, *, killed_at: Callable[[Sequence[Point]], Point], finished: str, **options: Any
    ) -> None:
        super().__init__(root, kind, **options)
        self._killed_at = killed_at
        self._ends = finished
        self._point: Point | None = None

    def record(self) -> list[Point]:
        """Walk to the end, and choose the point; then record the way from there."""
        self._point = self._killed_at(super().record())
        self.finished = self._ends
        return super().record()

    def prepare(self, lab: Installation, walker: Walker) -> None:
        """Let a process be killed, and cancel the product."""
        if self._point is None:
            return
        options = self._point.injection(KILL, lab.root)
        ending, _ = walker.traced(lab.root / "said", lab.root / "trace", lab.config, options=options)
        assert ending.code < 0, f"it was not killed at {self._point}: {ending.said}"
        with closing(join_state(lab.state)) as db:
            cancelling.cancel(db, SYSTEM_CLOCK, [], [1], None)

    def wrong_at_the_end(self, lab: Installation) -> list[str]:
        """It is there whole, or nothing of it is."""
        if self.finished == "cancelled":
            return [f"{path} is left" for path in lab.spool.rglob(f"*{self.safename}*")]
        return super().wrong_at_the_end(lab)


def _damaged(product: Path) -> Path:
    """Return the file of a product that is damaged."""
    return next(product.rglob("*.xml"))
