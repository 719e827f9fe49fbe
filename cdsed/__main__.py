"""``python -m cdsed`` is the ``cdsed`` command."""

import sys

from cdsed.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
