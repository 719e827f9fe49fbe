"""GDAL: the files below a folder of ``/vsis3``, which it lists with the first version."""

import os
from urllib.parse import urlsplit

from hosts import CASE

os.environ |= {
    "AWS_S3_ENDPOINT": urlsplit(CASE["url"]).netloc,
    "AWS_HTTPS": "NO",
    "AWS_VIRTUAL_HOSTING": "FALSE",
    "AWS_DEFAULT_REGION": "default",
    "AWS_ACCESS_KEY_ID": CASE["access_key"],
    "AWS_SECRET_ACCESS_KEY": CASE["secret_key"],
    "GDAL_HTTP_MAX_RETRY": "0",
}
import pyogrio

folder = f"/vsis3{CASE['s3_path']}"
found = {path.removeprefix(f"{folder}/") for path in pyogrio.vsi_listtree(folder) if not path.endswith("/")}
folders = {path for path in found if any(other.startswith(f"{path}/") for other in found)}
assert found - folders == set(CASE["files"]), sorted(found ^ set(CASE["files"]))
