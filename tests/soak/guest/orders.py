"""Runs in the guest, with Python alone: runs the commands that come over a port of virtio, each in a thread.

A line of JSON is a command, a line of JSON is its answer. What hangs does not stop the others.
"""

import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

_PORT = "/dev/virtio-ports/orders"


def _run(port: BinaryIO, order: dict[str, Any], lock: threading.Lock) -> None:
    done = subprocess.run(
        order["command"],
        input=order["text"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    answer = {"number": order["number"], "code": done.returncode, "output": done.stdout}
    left = json.dumps(answer).encode() + b"\n"
    with lock:
        while left:  # a port takes at most 32 KiB at once
            left = left[port.write(left) or 0 :]


def main() -> None:
    """Obey until the machine ends."""
    lock = threading.Lock()
    # Unbuffered, because a port has no position; a reader and a writer, because one would wait for the other.
    with Path(_PORT).open("rb+", buffering=0) as port:
        pending = b""
        while True:
            received = port.read(65_536)
            if not received:  # nobody is at the other end
                time.sleep(0.1)
                continue
            *lines, pending = (pending + received).split(b"\n")
            for line in lines:
                threading.Thread(target=_run, args=(port, json.loads(line), lock), daemon=True).start()


if __name__ == "__main__":
    main()
