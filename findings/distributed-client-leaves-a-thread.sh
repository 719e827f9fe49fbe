#!/bin/sh
# distributed 2026.8.0: a Client that cannot connect raises OSError, and leaves the thread of its event loop running, with
# three file descriptors. So a program that tries again every half minute while its scheduler is away has 1024 of them
# after some hours. With a loop that the program gives (`loop=`), nothing is left. Exits with 0 while that is so.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'distributed==2026.8.0'
cat > "$work/try.py" << 'EOF'
import contextlib
import gc
import logging
import os
import socket
import sys
import threading

import dask
from distributed import Client
from distributed.utils import LoopRunner

logging.disable(logging.CRITICAL)
dask.config.set({"distributed.comm.timeouts.connect": "1s"})
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    address = "tcp://127.0.0.1:%d" % free.getsockname()[1]


def left_by(tries, **options):
    with contextlib.suppress(OSError):
        Client(address, timeout=1, set_as_default=False, **options)  # what only the first one opens
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(tries):
        with contextlib.suppress(OSError):
            Client(address, timeout=1, set_as_default=False, **options)
    gc.collect()
    return len(os.listdir("/proc/self/fd")) - before[0], threading.active_count() - before[1]


runner = LoopRunner()
runner.start()
own, given = left_by(4), left_by(4, loop=runner.loop)
print(f"descriptors and threads left by four tries: {own}, with a given loop {given}")
sys.exit(not (own[0] >= 4 and own[1] >= 4 and given == (0, 0)))
EOF
"$work/venv/bin/python" "$work/try.py"
