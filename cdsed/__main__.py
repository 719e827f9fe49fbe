"""``python -m cdsed`` is the ``cdsed`` command."""

import signal
import sys

if sys.argv[1:2] == ["run"]:  # from here on a request to reload stays pending, see `cdsed.process.signals.hold`
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})

from cdsed.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
