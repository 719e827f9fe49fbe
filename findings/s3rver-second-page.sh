#!/usr/bin/env bash
# s3rver answers ListObjectsV2 with 500 as soon as there is a second page; ListObjects (V1) works.
#
# s3rver 3.7.1 (npm) on Node.js. Three objects and MaxKeys=2 are enough, as are 1001 objects without MaxKeys. boto3, rclone
# and most newer clients use V2.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check boto3==1.44.5
npm install --silent --no-audit --no-fund --prefix "$work/npm" s3rver@3.7.1 > "$work/npm.log"  # needs Node.js
cd "$work"
PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 "$work/venv/bin/python" - <<'EOF'
from botocore.exceptions import ClientError
from s3_servers import s3rver

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
