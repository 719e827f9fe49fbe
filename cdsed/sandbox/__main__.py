"""``python -m cdsed.sandbox``: the sandbox alone, without the rest of cdsed."""

import argparse
import sys

from cdsed.errors import CdsedError
from cdsed.sandbox.command import run
from cdsed.sandbox.options import add_arguments


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cdsed.sandbox", description="A CDSE on loopback.")
    add_arguments(parser)
    try:
        return run(parser.parse_args())
    except CdsedError as error:
        sys.stderr.write(f"cdsed sandbox: {error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
