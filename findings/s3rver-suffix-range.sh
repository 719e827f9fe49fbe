#!/usr/bin/env bash
# s3rver answers "the last three bytes" with the first four.
#
# s3rver 3.7.1 (npm) on Node.js. RFC 9110, 14.1.2: bytes=-3 is a suffix. s3rver reads it as 0-3 and answers 206 with a
# Content-Range that says so. Readers that begin with the end of a file (zip, Parquet) get the wrong bytes with a status
# of success; only Content-Range shows it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check boto3==1.44.5
npm install --silent --no-audit --no-fund --prefix "$work/npm" s3rver@3.7.1 > "$work/npm.log"  # needs Node.js
cd "$work"
PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 "$work/venv/bin/python" - <<'EOF'
from s3_servers import s3rver

with s3rver() as s3:
    s3.put_object(Bucket="eodata", Key="object.bin", Body=b"0123456789")
    answer = s3.get_object(Bucket="eodata", Key="object.bin", Range="bytes=-3")
    seen = (answer["ResponseMetadata"]["HTTPStatusCode"], answer["ContentRange"], answer["Body"].read())
    print("bytes=-3 of 0123456789: status, Content-Range, content =", seen)
    assert seen == (206, "bytes 0-3/10", b"0123"), seen
EOF
