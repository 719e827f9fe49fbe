"""A sandbox whose S3 answers begin after a while, as those of CDSE: ``python -m tests.benchmarks.slow_sandbox``.

The delay in seconds is in the environment variable ``CDSED_BENCH_FIRST_BYTE_S``. The rest is the sandbox's own.
"""

import os
import sys

from cdsed.sandbox.__main__ import main
from cdsed.sandbox.connection import ClientConnection
from cdsed.sandbox.delivery import Delivery
from cdsed.sandbox.http import Response

_DELAY_S = float(os.environ["CDSED_BENCH_FIRST_BYTE_S"])
_send = Delivery.send


def _send_later(delivery: Delivery, connection: ClientConnection, response: Response) -> None:
    connection.wait(_DELAY_S)
    _send(delivery, connection, response)


if __name__ == "__main__":
    Delivery.send = _send_later  # type: ignore[method-assign]
    sys.exit(main())
