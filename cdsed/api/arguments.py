"""Reading the products that a caller of `cdsed.api` gives: a listing, names or ids, or a table."""

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from cdsed.errors import InboxError
from cdsed.inbox.parse import read_listing
from cdsed.model.listing import Named, Rejected
from cdsed.model.safename import normalise

Row = tuple[str, str, str]  # id, safename, S3 path; empty where not known

_NAMES = ("name", "safename", "safe", "Name")
_IDS = ("id", "Id")
_PATHS = ("s3_path", "S3Path")


def safenames(products: Any) -> list[str]:
    """Return canonical names, each once; an id stays as it is.

    Raises
    ------
    InboxError
        One of them is not the name of a product; or `products` is empty.
    """
    names = dict.fromkeys(name or number for number, name, _path in _rows(products))
    if not names:
        raise InboxError("no product is named")
    return list(names)


def listing_text(products: Any) -> tuple[str, list[str]]:
    """Return a listing for the inbox, and the names in it; raises as `safenames`."""
    rows = {row[1]: row for row in _rows(products)}
    if "" in rows:
        raise InboxError(f"{rows[''][0]}: an id alone cannot be downloaded; resolve it first")
    if not rows:
        raise InboxError("no product is named")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "safename", "S3Path"))
    writer.writerows(rows.values())
    return text.getvalue(), list(rows)


def _rows(products: Any) -> Iterable[Row]:
    if isinstance(products, pd.DataFrame):
        yield from _of_table(products)
    elif isinstance(products, Path) or (isinstance(products, str) and os.path.isfile(products)):  # noqa: PTH113
        yield from _of_listing(Path(products))
    else:
        yield from map(_of_word, [products] if isinstance(products, str) else products)


def _of_table(table: pd.DataFrame) -> Iterable[Row]:
    columns = [next((name for name in known if name in table.columns), None) for known in (_IDS, _NAMES, _PATHS)]
    if columns[1] is None:
        raise InboxError(f"the table has no column of names; it should have one of {', '.join(_NAMES)}")
    texts = [table[name].astype(object).fillna("").astype(str) if name else [""] * len(table) for name in columns]
    for number, name, path in zip(*texts, strict=True):
        yield number, _canonical(name), path


def _of_listing(listing: Path) -> Iterable[Row]:
    for line in read_listing(listing):
        match line:
            case Named():
                yield line.product_id or "", line.known_name or "", line.s3_path or ""
            case Rejected():
                raise InboxError(f"{listing}, line {line.line}: {line.message}")


def _of_word(word: str) -> Row:
    is_id = len(word) == 36 and word.count("-") == 4
    return (word, "", "") if is_id else ("", _canonical(word), "")


def _canonical(name: str) -> str:
    try:
        return normalise(name)
    except ValueError as error:
        raise InboxError(str(error)) from None
