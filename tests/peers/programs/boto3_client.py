"""The client of boto3: buckets and their region, both versions of the list, and presigned URLs."""

from pathlib import Path

import boto3
import requests
from hosts import CASE

s3 = boto3.client(
    "s3",
    endpoint_url=CASE["url"],
    aws_access_key_id=CASE["access_key"],
    aws_secret_access_key=CASE["secret_key"],
    region_name="default",
)
assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["eodata"]
assert s3.get_bucket_location(Bucket="eodata")["LocationConstraint"] == "default"
prefix = CASE["s3_path"].removeprefix("/eodata/")
listed: dict[str, list[str]] = {}
for name in ("list_objects", "list_objects_v2"):
    pages = s3.get_paginator(name).paginate(Bucket="eodata", Prefix=f"{prefix}/", PaginationConfig={"PageSize": 5})
    listed[name] = [each["Key"] for page in pages for each in page["Contents"]]
assert listed["list_objects"] == listed["list_objects_v2"]
for key in listed["list_objects"]:
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "eodata", "Key": key}, ExpiresIn=60)
    response = requests.get(url, timeout=20)
    response.raise_for_status()
    path = Path(CASE["out"], CASE["safename"], key.removeprefix(f"{prefix}/"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(response.content)
