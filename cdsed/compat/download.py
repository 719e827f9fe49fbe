"""cdsodatacli's ``download``: one product, or a table of them, over S3."""

import logging
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from cdsed.catalogue.client import connect
from cdsed.catalogue.names import look_up
from cdsed.clock import SYSTEM_CLOCK
from cdsed.compat import one_product, table_download
from cdsed.compat.errors import NoListing
from cdsed.compat.places import Counters, DiskPresence, canonical
from cdsed.compat.private_settings import Wanted
from cdsed.compat.s3_path import key_of_path
from cdsed.compat.table_download import TO_DO
from cdsed.compat.token import bearer
from cdsed.compat.utils import get_conf
from cdsed.compat.wording import in_their_words
from cdsed.config.load import settings_or_defaults
from cdsed.config.secrets import Secret
from cdsed.errors import DiskError, ProductError, TransferError
from cdsed.inbox.parse import read_listing
from cdsed.model.eodata import BUCKET, S3Location, split_s3_path
from cdsed.model.families.other import EXTENSIONS_OF_ARCHIVES
from cdsed.model.listing import Named, Rejected
from cdsed.model.single_file import FILE_EXTENSIONS
from cdsed.transfer.connection import Connection, Credentials, Endpoint

_log = logging.getLogger(__name__)

_OF_ONE_FILE = tuple({*EXTENSIONS_OF_ARCHIVES, *FILE_EXTENSIONS} - {".zip"})


def cds_s3_download_one_product(
    s3_path: str,
    s3_credentials: Mapping[str, str],
    output_filepath: str | os.PathLike[str],
    conf: Mapping[str, Any],
) -> tuple[float, int, int, str, str]:
    """Fetch one product over one connection, verify it, and publish it.

    Parameters
    ----------
    s3_path
        Where it is in the bucket, e.g. ``Sentinel-1/SAR/GRD/2022/05/03/S1A_….SAFE``.
    s3_credentials
        ``s3-access-key`` and ``s3-secret``.
    output_filepath
        Where the product is to appear: its path in the spool, not in the pre-spool.
    conf
        ``pre_spool`` and ``s3_bucket``; ``s3_endpoint`` and ``s3_region`` where they differ from CDSE's.

    Returns
    -------
    speed : float
        MB per second; nan when it failed.
    elapsed_time : int
        Seconds.
    total_mb : int
        MB fetched.
    status_meaning : str
        ``Downloaded``; or ``NotFound``, ``S3Error``, ``MoveError`` (the disk), ``Corrupt`` (verification failed).
    safename_base : str
        The basename without ``.zip``.

    Notes
    -----
    S3 has products, not zips. An `output_filepath` that ends in ``.zip`` becomes a directory of that name, as ever. A
    product that is one file, and no zip, gets its own name there.
    """
    final = Path(os.path.abspath(output_filepath))  # noqa: PTH100 - Path.resolve would follow links
    keys = Credentials(Secret(s3_credentials["s3-access-key"]), Secret(s3_credentials["s3-secret"]))
    ours = Endpoint.from_settings(settings_or_defaults(None, os.environ))
    endpoint = replace(ours, url=conf.get("s3_endpoint", ours.url), region=conf.get("s3_region", "default"))
    connection = Connection(endpoint, keys)
    job = one_product.Job(_location(s3_path, conf), final, Path(conf["pre_spool"]))
    begun_s = time.monotonic()
    size_bytes, meaning = 0, "Downloaded"
    try:
        size_bytes = one_product.download(connection, job)
    except TransferError as error:
        _log.error("%s: %s", final.name, in_their_words(str(error)))
        meaning = _meaning(error)
    finally:
        connection.close()
    elapsed_s = time.monotonic() - begun_s
    speed = size_bytes / 1e6 / elapsed_s if meaning == "Downloaded" else float("nan")
    return speed, round(elapsed_s), round(size_bytes / 1e6), meaning, final.name.removesuffix(".zip")


def _location(s3_path: str, conf: Mapping[str, Any]) -> S3Location:
    bucket = conf.get("s3_bucket", BUCKET)
    return split_s3_path(f"/{bucket}/{key_of_path(s3_path, bucket)}")


def _meaning(error: TransferError) -> str:
    match error:
        case TransferError(code="VerificationFailed" | "Incomplete" | "Damaged"):
            return "Corrupt"
        case ProductError():
            return "NotFound"
        case DiskError():
            return "MoveError"
    return "S3Error"


def filter_product_already_present(
    cpt: Counters,
    df: pd.DataFrame,
    outputdir: str | os.PathLike[str],
    cdsodatacli_conf: Mapping[str, Any],
    force_download: bool = False,
    extension: str = ".zip",
) -> tuple[pd.DataFrame, Counters]:
    """Leave out products that are complete in an archive, a spool or the output directory, and repeated ones.

    Parameters
    ----------
    cpt
        Counters, updated in place.
    df
        Products, with a column ``safe``, perhaps ``id`` and others.
    outputdir
        Searched last.
    cdsodatacli_conf
        Its ``spools`` and ``archives`` are searched; ``URL_download`` makes ``urls`` of ids.
    force_download
        Leave out only repetitions; products that are present are still counted.
    extension
        Of the names in ``outputpath``; products that are one file keep their name.

    Returns
    -------
    DataFrame
        The rows to download, with ``outputpath`` and perhaps ``urls``; `df` stays as it is.
    mapping
        `cpt`.

    Raises
    ------
    TypeError
        A row has no safename; the text says which one.
    """
    for row, safename in df["safe"].items():
        if not isinstance(safename, str):
            raise TypeError(f"row {row} of the table: its safename is {safename!r}, not text; correct or drop it")
    places = DiskPresence(Path(outputdir), cdsodatacli_conf, cpt)
    names = df["safe"].map(lambda name: canonical(name) or name)
    names, once = names[~names.duplicated()], df[~names.duplicated()]
    if len(once) < len(df):
        places.count("duplicate_product", len(df) - len(once))
    absent = [not places.have(safename) for safename in names]
    wanted = once if force_download else once[pd.Series(absent, once.index, bool)]
    outputs = [str(Path(outputdir, name)) for name in wanted["safe"]]
    added = {"outputpath": [path if path.endswith(_OF_ONE_FILE) else f"{path}{extension}" for path in outputs]}
    if "id" in wanted.columns and "URL_download" in cdsodatacli_conf:
        added["urls"] = [cdsodatacli_conf["URL_download"] % number for number in wanted["id"]]
    return wanted.assign(**added), cpt


def add_missing_cdse_hash_ids_in_listing(
    listing_path: str | os.PathLike[str],
    conf: Mapping[str, Any],  # noqa: ARG001 - private units do not need an extra request any more
    display_tqdm: bool = False,  # noqa: ARG001 - it takes a few requests
    email: str | None = None,
    password: str | None = None,
) -> pd.DataFrame:
    """Look up ids and S3 paths of the products that a listing names.

    Parameters
    ----------
    listing_path
        A listing in any form that the inbox takes.
    conf
        Not used; it exists for old calls.
    display_tqdm
        Not used either.
    email, password
        Send the requests as this account: only some accounts see products of units in commissioning.

    Returns
    -------
    DataFrame
        ``id``, ``safename`` and ``S3Path`` (without ``/eodata/``) of each product that the catalogue knows, in the
        order of the listing. For each other product the reason is logged.

    Raises
    ------
    ServiceError
        The catalogue could not be asked. This does not mean that a product is unavailable.
    NoListing
        The file does not exist.
    InboxError
        It is not a listing.
    """
    names = list(_names(Path(listing_path)))
    settings = settings_or_defaults(None, os.environ)
    stop = threading.Event()
    with (
        bearer(settings, email, password, stop) as token,
        connect(settings, clock=SYSTEM_CLOCK, stop=stop, token=token) as service,
    ):
        facts = look_up(names, service)
    for name in names:
        absence = facts.absence(name)
        if absence is not None:
            _log.warning("%s: %s", name, absence.cause)
    rows = [(entry.product_id, entry.name, entry.s3_path.removeprefix("/eodata/")) for entry in facts.found.values()]
    return pd.DataFrame(rows, columns=["id", "safename", "S3Path"])


def _names(listing: Path) -> Iterable[str]:
    seen = set()
    if not listing.exists():
        raise NoListing(f"{listing}: no such file")
    for line in read_listing(listing):
        match line:
            case Named() if line.safename not in seen:
                seen.add(line.safename)
                yield line.safename
            case Rejected():
                _log.warning("%s, line %d: %s", listing, line.line, line.message)


def download_list_product_multithread_v4(
    inputdf: pd.DataFrame,
    outputdir: str | os.PathLike[str],
    account_group: str,
    hideprogressbar: bool = False,
    check_on_disk: bool = True,
    cdsodatacli_conf_file: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Download products with a daemon in the foreground: leased sessions, retries, verification.

    Parameters
    ----------
    inputdf
        Columns ``safename`` (``.SAFE`` may be missing) and ``S3Path`` (empty: it is looked up), perhaps ``id``, and
        ``status``: rows that have another one than 0 are left as they are.
    outputdir
        Where products appear.
    account_group
        A group of accounts of the configuration, of four sessions each.
    hideprogressbar
        Show no progress on stderr.
    check_on_disk
        Do not fetch what is in a spool or an archive of the configuration.
    cdsodatacli_conf_file
        A ``localconfig.yml``; None as for `cdsed.compat.utils.get_conf`.

    Returns
    -------
    DataFrame
        The rows that were not on disk, each product once: ``safe`` for ``safename``, the other columns of `inputdf`,
        ``outputpath``, and ``status``: 1: it is there, verified; -1: it is not, and the log says why.

    Raises
    ------
    ConfigKeyError, KeyError
        The configuration lacks the group, or its accounts lack keys; `inputdf` lacks a column.
    TypeError
        A row has no safename; the text says which one.
    """
    conf = get_conf(path_config_file=cdsodatacli_conf_file)
    rows = inputdf.rename(columns={"safename": "safe"})
    if "status" not in rows.columns:
        rows = rows.assign(status=TO_DO)
    cpt: Counters = defaultdict(int, products_in_initial_listing=len(rows))
    df2, cpt = filter_product_already_present(
        cpt, rows, outputdir, conf, force_download=not check_on_disk, extension=""
    )
    _log.info("counter: %s", dict(cpt))
    df2 = df2.assign(outputpath=[str(Path(outputdir, canonical(name) or name)) for name in df2["safe"]])
    to_do = df2[df2["status"] == TO_DO]
    if to_do.empty:
        return df2
    place = Path(os.path.abspath(outputdir))  # noqa: PTH100 - Path.resolve would follow links
    wanted = Wanted(conf, account_group, place, search_disks=check_on_disk)
    done = iter(table_download.download(to_do, wanted, None if hideprogressbar else sys.stderr))
    before = zip(df2["status"], df2["outputpath"], strict=True)
    rows_after = [next(done) if status == TO_DO else (status, path) for status, path in before]
    return df2.assign(status=[row[0] for row in rows_after], outputpath=[row[1] for row in rows_after])
