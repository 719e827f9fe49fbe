#!/bin/sh
# distributed 2026.8.0: a Client connects again on its own when its scheduler was started again at the same address. Its
# status is "running" as before, and calls work. But the topics of events to which it had subscribed are not subscribed at the
# new scheduler: its handler is still there, gets nothing more, and nothing says so. A second subscribe_topic() helps.
# Exits with 0 while that is so.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'distributed==2026.8.0'
cat > "$work/try.py" << 'EOF'
import logging
import queue
import socket
import subprocess
import sys
import time
from contextlib import suppress

from distributed import Client

logging.getLogger("distributed").setLevel(logging.CRITICAL)
events = queue.SimpleQueue()
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]


def scheduler():
    words = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def is_heard(client):
    for _ in range(10):
        client.log_event("news", "a word")
        with suppress(queue.Empty):
            return events.get(timeout=1)[1] == "a word"
    return False


first = scheduler()
client = Client(f"tcp://127.0.0.1:{port}", timeout=60)
client.subscribe_topic("news", events.put)
before, stream = is_heard(client), client.scheduler_comm
first.kill()
first.wait()
second = scheduler()
try:
    until_s = time.monotonic() + 60
    while client.status != "running" or client.scheduler_comm is stream:
        assert time.monotonic() < until_s, "it does not connect again"
        time.sleep(0.1)
    calls = client.run_on_scheduler(lambda: 1 + 2) == 3
    after = is_heard(client)
    client.subscribe_topic("news", events.put)
    again = is_heard(client)
    print(f"heard before: {before}\nconnected again, calls work: {calls}\nheard: {after}\nsubscribed again: {again}")
    client.close()
finally:
    second.kill()
sys.exit(not (before and calls and not after and again))
EOF
"$work/venv/bin/python" "$work/try.py"
