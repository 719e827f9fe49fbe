"""Listings as other tools write them: each was made by the tool, or has its form, with the same two products."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "listings"

GRD = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
L1C = "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE"
IDS = {GRD: "7fa0bb0c-6f5d-4c55-a3a5-4d6b3b1a6f10", L1C: "521bd8f9-48a5-4e1f-9435-58f97cb64d39"}
PATHS = {
    GRD: f"/eodata/Sentinel-1/SAR/IW_GRDH_1S/2024/06/04/{GRD}",
    L1C: f"/eodata/Sentinel-2/MSI/L1C/2024/09/12/{L1C}",
}


@dataclass(frozen=True)
class Output:
    """One output of a tool.

    Attributes
    ----------
    tool
        With the version that was tried; without one, the form is a standard's.
    made_by
        The call or command.
    file
        In `FOLDER`.
    ids, paths
        Whether cdsed finds the UUID and the S3 path in it.
    names
        The products that it names, in their order.
    """

    tool: str
    made_by: str
    file: str
    ids: bool = False
    paths: bool = False
    names: tuple[str, ...] = (GRD, L1C)


OUTPUTS = (
    Output("asf_search 14.1.0", "`results.csv()`", "asf_search.csv", names=(GRD, GRD)),
    Output("asf_search 14.1.0", "`results.geojson()`", "asf_search.geojson", names=(GRD, GRD)),
    Output("awscli 1.46.2", "`aws s3 ls --summarize`", "aws-s3-ls.txt"),
    Output("awscli 1.46.2", "`aws s3 ls --recursive`", "aws-s3-ls-recursive.txt", paths=True),
    Output("awscli 1.46.2", "`aws s3api list-objects-v2`", "aws-s3api-list-objects-v2.json", paths=True),
    Output("CDSETool 0.3.3", "`json.dump(list(query_features(…)))`", "cdsetool-array.json", ids=True, paths=True),
    Output("CDSETool 0.3.3", "`cdsetool query search --json`", "cdsetool-json.jsonl", ids=True, paths=True),
    Output("cdsodatacli 2026.10.15", "`queryCDS`", "cdsodatacli-queryCDS.csv", ids=True, paths=True),
    Output("eodag 4.10.1", "`serialize`, `cop_dataspace`", "eodag-cop_dataspace.geojson", ids=True),
    Output("eodag 4.10.1", "`serialize`, `cop_dataspace_s3`", "eodag-cop_dataspace_s3.geojson", ids=True, paths=True),
    Output("OData of CDSE", "a page", "odata-page.json", ids=True, paths=True),
    Output("OData of CDSE", "pages, one on a line", "odata-pages.jsonl", ids=True, paths=True),
    Output("OData of CDSE", "one product", "odata-product.json", ids=True, paths=True, names=(GRD,)),
    Output("pandas 2.3", "`to_json()`", "pandas-to_json.json", ids=True, paths=True),
    Output("pandas 2.3", '`to_json(orient="index")`', "pandas-index.json", ids=True, paths=True),
    Output("pandas 2.3", '`to_json(orient="split")`', "pandas-split.json", ids=True, paths=True),
    Output("pandas 2.3", '`to_json(orient="records", lines=True)`', "pandas-lines.jsonl", ids=True, paths=True),
    Output("phidown 0.1.30", "`df.to_csv()`", "phidown.csv", ids=True, paths=True),
    Output("phidown 0.1.30", '`df.to_json(orient="records")`', "phidown-records.json", ids=True, paths=True),
    Output("pystac 1.15.2", "`Item.to_dict()`", "pystac-item.json", ids=True, paths=True, names=(GRD,)),
    Output("pystac 1.15.2", "`ItemCollection.save_object()`", "pystac-itemcollection.json", ids=True, paths=True),
    Output("rclone 1.75.2", "`rclone lsf`", "rclone-lsf.txt"),
    Output("rclone 1.75.2", "`rclone lsf --format ps`", "rclone-lsf-ps.txt"),
    Output("rclone 1.75.2", "`rclone lsd`", "rclone-lsd.txt"),
    Output("rclone 1.75.2", "`rclone lsl`", "rclone-lsl.txt"),
    Output("rclone 1.75.2", "`rclone lsjson`", "rclone-lsjson.json"),
    Output("s5cmd 2.3.0", "`s5cmd ls`", "s5cmd-ls.txt"),
    Output("s5cmd 2.3.0", "`s5cmd ls --show-fullpath`", "s5cmd-ls-show-fullpath.txt", paths=True),
    Output("s5cmd 2.3.0", "`s5cmd --json ls`", "s5cmd-json-ls.jsonl", paths=True),
    Output("sentinelsat 1.2.1", "`to_dataframe(…).to_csv()`", "sentinelsat.csv", ids=True),
    Output("sentinelsat 1.2.1", "`to_geojson(…)`", "sentinelsat.geojson", ids=True),
    Output("coreutils", "`ls -l`", "ls-l.txt"),
    Output("findutils", "`find`", "find.txt"),
)
