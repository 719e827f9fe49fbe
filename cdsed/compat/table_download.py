"""The download of a table by a private daemon, for ``download_list_product_multithread_v4``."""

import csv
import io
import logging
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from cdsed import foreground
from cdsed.compat.places import canonical
from cdsed.compat.private_settings import Wanted, environ, installation
from cdsed.compat.s3_path import key_of_path
from cdsed.compat.wording import in_their_words
from cdsed.errors import CdsedError
from cdsed.model.eodata import BUCKET
from cdsed.model.listing import ListingOptions
from cdsed.model.product_state import SUCCEEDED, TERMINAL, Product
from cdsed.view.read import read_status
from cdsed.view.transfer_bar import transfer_bar

_log = logging.getLogger(__name__)

DONE, FAILED, TO_DO = 1.0, -1.0, 0.0


def download(rows: pd.DataFrame, wanted: Wanted, stream: TextIO | None) -> list[tuple[float, str]]:
    """Download the products of a table; log the cause of each failure.

    Parameters
    ----------
    rows
        Columns ``safe``, ``S3Path``, ``outputpath``, perhaps ``id``.
    wanted
        The configuration, and what the call asks of it.
    stream
        Where the bar is drawn; None hides it.

    Returns
    -------
    list of tuple
        For each row its status, and the path at which the product is.

    Raises
    ------
    CdsedError
        The daemon could not be run; the text says why.
    """
    names = [name for name in map(canonical, rows["safe"]) if name]
    options = ListingOptions(outputdir=str(wanted.outputdir))
    request = foreground.DownloadRequest(_listing(rows, wanted.conf), names, options, foreground.IDLE_TIMEOUT_S)
    with installation(wanted) as private:
        try:
            with transfer_bar(stream) if stream is not None else nullcontext() as show:
                results = foreground.download(private.config, request, show, environ())
        except CdsedError as error:
            text = str(error).replace("groups.default.accounts.", f"{wanted.group}.")
            raise CdsedError(in_their_words(text)) from error
        private.finished = all(product.state in TERMINAL for product in results.values())
        waits_for = "" if private.finished else _waits_for(private.state_dir)
    products = [results.get(canonical(name)) for name in rows["safe"]]
    for name, product in zip(rows["safe"], products, strict=True):
        if _status(product) == FAILED:
            cause = (product.cause or f"not finished: {waits_for}") if product else "the inbox rejected its line"
            _log.error("%s: %s", name, in_their_words(cause))
    expected = map(Path, rows["outputpath"])
    return [(_status(product), _path(product, path)) for product, path in zip(products, expected, strict=True)]


def _listing(rows: pd.DataFrame, conf: Mapping[str, Any]) -> str:
    """Return the rows as a listing for the inbox, with paths that begin with ``/eodata/``: the configured bucket."""
    bucket = conf.get("s3_bucket", BUCKET)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "safename", "S3Path"))
    ids = rows["id"] if "id" in rows.columns else [""] * len(rows)
    for number, name, s3_path in zip(ids, rows["safe"], rows["S3Path"], strict=True):
        key = key_of_path(s3_path, bucket) if isinstance(s3_path, str) else ""
        writer.writerow((number, name, f"/{BUCKET}/{key}" if key else ""))
    return text.getvalue()


def _waits_for(state_dir: Path) -> str:
    """Return why products of a state wait."""
    report = read_status(state_dir).report
    accounts = (
        f"account {each.name}: {each.error.removeprefix(f'account {each.name}: ')}"
        for each in report.accounts
        if each.error
    )
    return "; ".join(accounts) or report.why_idle or "nothing moved"


def _status(product: Product | None) -> float:
    return DONE if product is not None and product.state in SUCCEEDED else FAILED


def _path(product: Product | None, expected: Path) -> str:
    """Return where a product is: as the caller wrote the directory, if it is in that one."""
    if product is None or product.path is None or product.state not in SUCCEEDED:
        return str(expected)
    same_place = expected.parent.absolute() == Path(product.path).parent
    return str(expected.with_name(Path(product.path).name)) if same_place else product.path
