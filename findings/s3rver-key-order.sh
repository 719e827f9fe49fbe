#!/usr/bin/env bash
# s3rver does not list keys in the order of their bytes: dir/f comes before dir-a.
#
# s3rver 3.7.1 (npm) on Node.js. S3 lists general purpose buckets in the order of the UTF-8 bytes of the keys, where "-"
# (2D) and "." (2E) come before "/" (2F). A client that merges two lists, or stops behind a prefix, loses objects.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check boto3==1.44.5
npm install --silent --no-audit --no-fund --prefix "$work/npm" s3rver@3.7.1 > "$work/npm.log"  # needs Node.js
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import contextlib
import os
import socket
import subprocess
import time

import boto3
from botocore.config import Config

KEY, SECRET = "S3RVER", "S3RVER"  # the ones it knows


@contextlib.contextmanager
def s3rver():
    """Serve a bucket eodata, and give a boto3 client for it."""
    os.makedirs("served")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["npm/node_modules/.bin/s3rver", "--directory", "served", "--address", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen([*command, "--silent", "--configure-bucket", "eodata"])
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


with s3rver() as s3:
    for key in ("dir/f", "dir-a", "dir.b"):
        s3.put_object(Bucket="eodata", Key=key, Body=b"content")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="eodata")["Contents"]]
    print("listed:", keys, " in the order of bytes:", sorted(keys))
    assert keys == ["dir/f", "dir-a", "dir.b"], keys
EOF
