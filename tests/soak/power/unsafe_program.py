"""A careless downloader, which never syncs: ``python -m tests.soak.power.unsafe_program FOLDER PRODUCTS``."""

import random
import sys
from pathlib import Path

_FILES, _FILE_BYTES = 9, 60_000


def contents(number: int) -> dict[str, bytes]:
    """Return the files of a product."""
    dice = random.Random(number)
    return {f"file-{each}": dice.randbytes(_FILE_BYTES) for each in range(_FILES)}


def main() -> None:
    """Write so many products, rename each to its final name, then wait to be killed."""
    folder, products = Path(sys.argv[1]), int(sys.argv[2])
    staging = folder / ".staging"
    staging.mkdir()
    for number in range(products):
        product = staging / f"product-{number}"
        product.mkdir()
        for name, data in contents(number).items():
            (product / name).write_bytes(data)
        product.rename(folder / product.name)
    print("written", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
