"""The pieces that a session fetches one after the other, and what of them has arrived but is not in the state yet."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cdsed.model.objects import Digests, Piece
from cdsed.model.product_state import Product
from cdsed.transfer.staging import HeldStaging
from cdsed.work.context import DiskContext
from cdsed.work.destination import Destination


@dataclass(slots=True)
class PieceBatch:
    """A batch of pieces of one product.

    Attributes
    ----------
    held
        The staging directory of the product.
    arrived
        Pieces that have arrived since the last `synced`, with their digests.
    """

    disks: DiskContext
    product: Product
    held: HeldStaging
    arrived: dict[Piece, Digests] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def begun(cls, disks: DiskContext, product: Product) -> Iterator[Self]:
        """Hold the staging directory of a planned product open for a batch."""
        assert product.staging is not None, f"{product.safename} is downloading without a staging directory"
        with closing(HeldStaging(Path(product.staging), Destination(disks, product).check_owner)) as held:
            yield cls(disks, product, held)

    def synced(self) -> dict[Piece, Digests]:
        """Sync the pieces that have arrived, and return them.

        Raises
        ------
        DiskError, MachineError
            They cannot be synced. They stay in `arrived`, and must not be noted.
        """
        with self.disks.watch.at(self.product.destination or ""):
            self.held.sync()
        arrived, self.arrived = self.arrived, {}
        return arrived
