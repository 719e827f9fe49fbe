#!/usr/bin/env bash
# s3rver answers ListObjectsV2 with 500 as soon as there is a second page; ListObjects (V1) works.
#
# s3rver 3.7.1 (npm) on Node.js. Three objects and MaxKeys=2 are enough, as are 1001 objects without MaxKeys. boto3, rclone
# and most newer clients use V2.
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


from botocore.exceptions import ClientError

with s3rver() as s3:
    for key in ("a", "b", "c"):
        s3.put_object(Bucket="eodata", Key=key, Body=b"content")
    one_page = s3.list_objects_v2(Bucket="eodata", MaxKeys=3)["KeyCount"]
    try:
        two_pages = s3.list_objects_v2(Bucket="eodata", MaxKeys=2)["ResponseMetadata"]["HTTPStatusCode"]
    except ClientError as error:
        two_pages = error.response["ResponseMetadata"]["HTTPStatusCode"]
    first = s3.list_objects(Bucket="eodata", MaxKeys=2)
    print("V2, one page:", one_page, "keys; V2, two pages: status", two_pages)
    print("V1, two pages:", [entry["Key"] for entry in first["Contents"]], "IsTruncated", first["IsTruncated"])
    assert (one_page, two_pages, len(first["Contents"]), first["IsTruncated"]) == (3, 500, 2, True)
EOF
