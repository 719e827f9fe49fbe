"""The pieces that a session fetches one after the other, and what of them has arrived but is not in the state yet."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cdsed.model.objects import Digests, Piece
from cdsed.model.product_state import Product
from cdsed.transfer.transport import BatchFetch, Transport
from cdsed.work.context import DiskContext
from cdsed.work.destination import Destination


@dataclass(slots=True)
class PieceBatch:
    """A batch of pieces of one product.

    Attributes
    ----------
    files
        Fetches the pieces into the staging directory of the product.
    arrived
        Pieces that have arrived since the last `synced`, with their digests.
    """

    disks: DiskContext
    product: Product
    files: BatchFetch
    arrived: dict[Piece, Digests] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def begun(
        cls, disks: DiskContext, transport: Transport, bucket: str, product: Product, pieces: Sequence[Piece]
    ) -> Iterator[Self]:
        """Hold the staging directory of a planned product open for a batch."""
        assert product.staging is not None, f"{product.safename} is downloading without a staging directory"
        check_owner = Destination(disks, product).check_owner
        with closing(transport.batch(bucket, Path(product.staging), product.safename, check_owner, pieces)) as files:
            try:
                yield cls(disks, product, files)
            finally:
                files.stop()

    def synced(self) -> dict[Piece, Digests]:
        """Sync the pieces that have arrived, and return them.

        Raises
        ------
        DiskError, MachineError
            They cannot be synced. They stay in `arrived`, and must not be noted.
        """
        with self.disks.watch.at(self.product.destination or ""):
            self.files.sync()
        arrived, self.arrived = self.arrived, {}
        return arrived
