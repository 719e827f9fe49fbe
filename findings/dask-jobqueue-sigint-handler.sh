#!/bin/sh
# dask-jobqueue 0.9.0: its import replaces the SIGINT handler of the program by one that calls sys.exit(), so Ctrl-C
# raises SystemExit where KeyboardInterrupt was handled. And it fails in any thread but the main one: "signal only works
# in main thread". A module for workers started by srun does it (runner.py), which the import of SLURMCluster brings.
# Exits with 0 while that is so.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'dask-jobqueue==0.9.0' 'distributed==2026.8.0'
cat > "$work/try.py" << 'EOF'
import signal
import subprocess
import sys

in_thread = "import threading; t = threading.Thread(target=lambda: __import__('dask_jobqueue')); t.start(); t.join()"
said = subprocess.run([sys.executable, "-c", in_thread], capture_output=True, text=True, timeout=300).stderr
before = signal.getsignal(signal.SIGINT)
import dask_jobqueue

after = signal.getsignal(signal.SIGINT)
print(f"before: {before}\nafter: {after}\nin a thread: {said.strip().splitlines()[-1]}")
sys.exit(not (after is not before and after.__module__ == "dask_jobqueue.runner" and "main thread" in said))
EOF
"$work/venv/bin/python" "$work/try.py"
