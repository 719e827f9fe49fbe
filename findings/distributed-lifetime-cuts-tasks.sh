#!/bin/sh
# distributed 2026.8.0: a worker with --lifetime, which dask-jobqueue's documentation advises for workers in jobs, does not
# wait for the task that it runs. The scheduler takes the worker out of the cluster and starts the task again on another
# one, while it still runs on the first: twice at once, for as long as the rest of the task takes.
# The comment in Worker.close_gracefully says "Wait for all tasks to leave the worker": only results are waited for.
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
from pathlib import Path

from distributed import Client, LocalCluster


def slow(path):
    for _ in range(200):
        with open(path, "a") as file:
            file.write(f"{os.getpid()} {time.time()}\n")
        time.sleep(0.2)


path = Path(sys.argv[1])
with LocalCluster(n_workers=0, dashboard_address=None) as cluster, Client(cluster) as client:

    def worker(*options):
        command = [sys.executable, "-m", "dask", "worker", cluster.scheduler_address, "--no-nanny", "--nthreads", "1"]
        command += ["--no-dashboard", "--dashboard-address", "127.0.0.1:0", *options]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)

    first = worker("--name", "first", "--lifetime", "20s")
    client.wait_for_workers(1)
    task = client.submit(slow, str(path), workers=["first"], allow_other_workers=True, pure=False, retries=0)
    second = worker()
    task.result()
    for each in (first, second):
        each.terminate()
        each.wait()
times = {}
for line in path.read_text().splitlines():
    pid, at = line.split()
    times.setdefault(pid, []).append(float(at))
runs = sorted((min(each), max(each)) for each in times.values())
both_s = runs[0][1] - runs[1][0] if len(runs) == 2 else 0
print(f"{len(runs)} runs, both at once for {both_s:.1f} s")
sys.exit(not both_s > 1)
EOF
"$work/venv/bin/python" "$work/try.py" "$work/times"
