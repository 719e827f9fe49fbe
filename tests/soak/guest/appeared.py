"""Runs in the guest, with Python alone: notes what a product consists of when it appears in a directory.

``appeared.py FILE PLACE…``: for each product that is new in a place, FILE gets a line of JSON: place, name, and the
MD5 of each file at that moment.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path

_LOOK_EVERY_S = 0.2


def _digests(product: Path) -> dict[str, str]:
    files = [path for path in product.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(product)): hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        for path in files
    }


def main() -> None:
    """Look until the machine ends."""
    seen = set()
    with Path(sys.argv[1]).open("w", encoding="utf-8") as notes:
        while True:
            for place in sys.argv[2:]:
                for entry in os.scandir(place):
                    key = (place, entry.name, entry.inode())
                    if not entry.name.startswith(".") and key not in seen:
                        seen.add(key)
                        print(json.dumps([place, entry.name, _digests(Path(entry.path))]), file=notes, flush=True)
            time.sleep(_LOOK_EVERY_S)


if __name__ == "__main__":
    main()
