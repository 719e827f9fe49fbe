"""Power cuts under a careless program, with the same disks and the same judge: ``python -m tests.soak.power.control``.

It leaves with 0 if on every file system something is found broken. Else a table of zeros would mean nothing.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from cdsed.sandbox.products import Truth
from tests.soak.power.alone import kinds
from tests.soak.power.rig import Kind, Rig
from tests.soak.power.unsafe_program import contents
from tests.support.judge import damage

_REPOSITORY = Path(__file__).parents[3]
_PRODUCTS = 60


def main() -> int:
    """Try each file system."""
    found = {kind.name: _try(kind) for kind in kinds()}
    return 0 if all(found.values()) else 1


def _try(kind: Kind) -> int:
    """Let the program publish, cut the power, and return how many published products are broken."""
    with tempfile.TemporaryDirectory(prefix="control-") as name:
        folder = Path(name)
        rig, place = Rig(folder / "disks"), folder / "mounted"
        try:
            rig.add(kind, place)
            command = [sys.executable, "-m", "tests.soak.power.unsafe_program", str(place), str(_PRODUCTS)]
            with subprocess.Popen(command, cwd=_REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
                assert program.stdout is not None
                program.stdout.readline()
                _sync_names(place)
                rig.turn_off()
                program.kill()
                rig.settle("none", 1)
            kinds_of_damage = Counter(
                found[0] if (found := damage(product, _truth(product.name))) else "whole"
                for product in place.glob("product-*")
            )
        finally:
            rig.close()
    print(f"{kind.name:<16} of {_PRODUCTS} products published without a sync: {dict(kinds_of_damage)}", flush=True)
    return kinds_of_damage.total() - kinds_of_damage["whole"]


def _truth(product: str) -> dict[str, Truth]:
    files = contents(int(product.removeprefix("product-")))
    return {
        name: Truth(len(data), hashlib.md5(data, usedforsecurity=False).hexdigest()) for name, data in files.items()
    }


def _sync_names(place: Path) -> None:
    """Let another program sync the directory: the names are on the disk, but not what they stand for."""
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
