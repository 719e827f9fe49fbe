"""cdsodatacli: its own download of one product through S3."""

from pathlib import Path

from cdsodatacli.download import cds_s3_download_one_product
from hosts import CASE

pre_spool = Path(CASE["out"]).with_name("pre_spool")
pre_spool.mkdir()
conf = {"pre_spool": str(pre_spool), "s3_endpoint": CASE["url"], "s3_bucket": "eodata", "s3_region": "default"}
keys = {"s3-access-key": CASE["access_key"], "s3-secret": CASE["secret_key"]}
prefix = CASE["s3_path"].removeprefix("/eodata/")
status = cds_s3_download_one_product(prefix, keys, f"{CASE['out']}/{CASE['safename']}", conf)[3]
assert status == "Downloaded", status
