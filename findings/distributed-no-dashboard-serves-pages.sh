#!/bin/sh
# distributed 2026.8.0: `dask scheduler --no-dashboard` still serves pages: /info/main/workers.html with links to the call
# stack and log of each task, /json/counts.json, /metrics. They have neither TLS nor a password, also if the scheduler has
# a certificate and requires encryption, and the default address is that of all interfaces (port 8787).
# Only DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES='[]' ends that (and ..WORKER.. for /metrics of workers).
# Exits with 0 while that is so.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'distributed==2026.8.0'
cat > "$work/try.py" << 'EOF'
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

PATHS = ("/info/main/workers.html", "/json/counts.json", "/metrics")


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def statuses(**variables):
    port = free_port()
    command = [sys.executable, "-m", "dask", "scheduler", "--no-dashboard", "--host", "127.0.0.1", "--port", "0"]
    command += ["--dashboard-address", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, env=os.environ | variables, stderr=subprocess.DEVNULL) as scheduler:
        try:
            return [status(f"http://127.0.0.1:{port}{path}") for path in PATHS]
        finally:
            scheduler.terminate()


def status(address):
    for _ in range(300):
        try:
            return urllib.request.urlopen(address, timeout=10).status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the scheduler does not listen")


without, with_it = statuses(), statuses(DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES="[]")
print(dict(zip(PATHS, zip(without, with_it))))
sys.exit(not (200 in without and set(with_it) == {404}))
EOF
"$work/venv/bin/python" "$work/try.py"
