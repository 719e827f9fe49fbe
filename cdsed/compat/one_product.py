"""Fetching, verifying and publishing one product, for ``cds_s3_download_one_product``.

It uses neither the state nor a lease: the caller must keep the account's limit of connections.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cdsed.model.eodata import S3Location
from cdsed.transfer.connection import Connection
from cdsed.transfer.product import FetchProgress, StagedProduct, fetch_product
from cdsed.transfer.publish import publish
from cdsed.transfer.s3_errors import on_disk


@dataclass(frozen=True, slots=True)
class Job:
    """What to fetch and where it is to appear; it is in `pre_spool` until it is complete."""

    location: S3Location
    final: Path
    pre_spool: Path


def download(connection: Connection, job: Job) -> int:
    """Fetch, verify and publish one product.

    Returns
    -------
    int
        Its size in bytes.

    Raises
    ------
    ProductError
        It does not exist, or its files differ from what the service or its manifest states.
    AccountError, ServiceError, DiskError
        See these classes.
    """
    with on_disk(str(job.pre_spool)):
        job.pre_spool.mkdir(parents=True, exist_ok=True)
        private = Path(tempfile.mkdtemp(prefix=".cdsed-", dir=job.pre_spool))
    try:
        staged = fetch_product(connection, job.location, private / job.final.name, _show_nothing)
        _publish(staged, job.final)
    finally:
        shutil.rmtree(private, ignore_errors=True)
    return staged.size_bytes


def _show_nothing(progress: FetchProgress) -> None: ...


def _publish(staged: StagedProduct, final: Path) -> None:
    """Publish the product; replace what was there before, because the caller asked for this product."""
    sizes = {item.path: item.size_bytes for item in staged.objects}
    single = None
    if staged.single is not None:
        is_no_zip = final.suffix == ".zip" and not staged.single.endswith(".zip")
        single = staged.single if is_no_zip else final.name
        (staged.staging / staged.single).rename(staged.staging / single)
        sizes = {single: staged.size_bytes}
    published = publish(staged.staging, final.parent, sizes, single=single)
    if published.set_aside is not None:
        if published.set_aside.is_dir():
            shutil.rmtree(published.set_aside)
        else:
            published.set_aside.unlink()
