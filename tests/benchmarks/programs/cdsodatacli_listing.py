"""cdsodatacli: its own download of a listing with several accounts. Arguments: JSON with url, accounts, paths, out."""

import json
import sys
from pathlib import Path

import pandas as pd
import yaml
from cdsodatacli.download import download_list_product_multithread_v4

case = json.loads(sys.argv[1])
out = Path(case["out"])
keys = {
    name: {"cdse-psswd": "", "s3-access-key": access, "s3-secret": secret} for name, access, secret in case["accounts"]
}
settings = {
    "bench": [{name: values} for name, values in keys.items()],
    "pre_spool": str(out.with_name("pre_spool")),
    "spools": {"default": str(out.with_name("spool"))},
    "archives": {"default": str(out.with_name("archive"))},
    "s3_endpoint": case["url"],
    "s3_bucket": "eodata",
    "s3_region": "default",
}
for place in (out, Path(settings["pre_spool"]), out.with_name("spool"), out.with_name("archive")):
    place.mkdir(exist_ok=True)
config = out.with_name("cdsodatacli.yml")
config.write_text(yaml.safe_dump(settings), encoding="utf-8")
listing = pd.DataFrame({"safename": [path.rpartition("/")[2] for path in case["paths"]], "S3Path": case["paths"]})
done = download_list_product_multithread_v4(
    listing, str(out), "bench", hideprogressbar=True, check_on_disk=False, cdsodatacli_conf_file=str(config)
)
assert (done["status"] == 1).all(), done
