#!/usr/bin/env bash
# s3rver answers "the last three bytes" with the first four.
#
# s3rver 3.7.1 (npm) on Node.js. RFC 9110, 14.1.2: bytes=-3 is a suffix. s3rver reads it as 0-3 and answers 206 with a
# Content-Range that says so. Readers that begin with the end of a file (zip, Parquet) get the wrong bytes with a status
# of success; only Content-Range shows it.
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
    s3.put_object(Bucket="eodata", Key="object.bin", Body=b"0123456789")
    answer = s3.get_object(Bucket="eodata", Key="object.bin", Range="bytes=-3")
    seen = (answer["ResponseMetadata"]["HTTPStatusCode"], answer["ContentRange"], answer["Body"].read())
    print("bytes=-3 of 0123456789: status, Content-Range, content =", seen)
    assert seen == (206, "bytes 0-3/10", b"0123"), seen
EOF
