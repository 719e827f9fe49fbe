#!/usr/bin/env bash
# s3rver does not list keys in the order of their bytes: dir/f comes before dir-a.
#
# s3rver 3.7.1 (npm) on Node.js. S3 lists general purpose buckets in the order of the UTF-8 bytes of the keys, where "-"
# (2D) and "." (2E) come before "/" (2F). A client that merges two lists, or stops behind a prefix, loses objects.
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
    for key in ("dir/f", "dir-a", "dir.b"):
        s3.put_object(Bucket="eodata", Key=key, Body=b"content")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="eodata")["Contents"]]
    print("listed:", keys, " in the order of bytes:", sorted(keys))
    assert keys == ["dir/f", "dir-a", "dir.b"], keys
EOF
