"""phidown: search with count and pages, then download through s5cmd."""

import os
import sys
from pathlib import Path

import hosts
from hosts import CASE
from phidown.s5cmd_utils import pull_down
from phidown.search import CopernicusDataSearcher

hosts.point_to(CASE["url"])
os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
searcher = CopernicusDataSearcher()
searcher.query_by_filter(
    collection_name=CASE["collection"],
    product_type="SLC",
    start_date=CASE["start"],
    end_date=CASE["end"],
    top=2,
    count=True,
)
rows = searcher.execute_query()
(s3_path,) = rows[rows["Name"] == CASE["safename"]]["S3Path"]
config = Path(CASE["out"]).with_name(".s5cfg")
config.write_text(
    f"[default]\naws_access_key_id = {CASE['access_key']}\naws_secret_access_key = {CASE['secret_key']}\n"
    "aws_region = default\nhost_base = eodata\nhost_bucket = eodata\nuse_https = false\n"
)
assert pull_down(s3_path, CASE["out"], str(config), CASE["url"], show_progress=False)
