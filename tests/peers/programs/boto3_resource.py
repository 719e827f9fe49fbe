"""The resources of boto3: download each object of ``Bucket.objects.filter``, which lists with the first version."""

from pathlib import Path

import boto3
from hosts import CASE

s3 = boto3.resource(
    "s3",
    endpoint_url=CASE["url"],
    aws_access_key_id=CASE["access_key"],
    aws_secret_access_key=CASE["secret_key"],
    region_name="default",
)
prefix = CASE["s3_path"].removeprefix("/eodata/")
for each in s3.Bucket("eodata").objects.filter(Prefix=f"{prefix}/").page_size(7):
    path = Path(CASE["out"], CASE["safename"], each.key.removeprefix(f"{prefix}/"))
    path.parent.mkdir(parents=True, exist_ok=True)
    s3.Bucket("eodata").download_file(each.key, str(path))
assert [bucket.name for bucket in s3.buckets.all()] == ["eodata"]
