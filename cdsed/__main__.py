"""``python -m cdsed`` is the ``cdsed`` command."""

import signal
import sys

if sys.argv[1:2] == ["run"]:  # a reload that is asked for from here on is remembered, see `cdsed.process.signals.hold`
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})

from cdsed.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
