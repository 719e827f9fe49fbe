"""Writes docs/listings-of-other-tools.md from the outputs of tools that the tests read."""

from pathlib import Path

from cdsed.inbox.parse import read_listing
from cdsed.model.listing import Named
from tests.architecture.sources import ROOT
from tests.support.other_tools import FOLDER, OUTPUTS, Output

PAGE = ROOT / "docs" / "listings-of-other-tools.md"

_HEAD = """# Listings of other tools

You can drop what these tools write, as it is:

```sh
rclone lsf cdse:eodata/Sentinel-1/SAR/IW_GRDH_1S/2024/06/04/ > day.txt
cdsed add day.txt
```

cdsed recognises the form by its content. "id" and "path" say whether it finds the UUID and the S3 path there, too.
Without them it resolves the name. The files are in `tests/data/listings`, and `tests/unit/inbox/test_other_tools.py`
reads each. What `cdsed query --output` writes (listing, CSV, JSON, GeoJSON, parquet) is a listing, too.

| tool | made by | products | id | path |
|---|---|---|---|---|
"""


def page() -> str:
    """Return the page."""
    return _HEAD + "".join(map(_row, sorted(OUTPUTS, key=lambda output: output.tool.lower())))


def _row(output: Output) -> str:
    named = [line for line in read_listing(Path(FOLDER, output.file)) if isinstance(line, Named)]
    ids = "yes" if all(line.product_id for line in named) else "-"
    paths = "yes" if all(line.s3_path for line in named) else "-"
    return f"| {output.tool} | {output.made_by} | {len({line.safename for line in named})} | {ids} | {paths} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
