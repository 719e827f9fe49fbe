"""cdsodatacli's ``utils``: its configuration, presence on disk, and listings made from catalogue responses."""

import csv
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cdsed.compat.configuration import archives, read_localconfig, spools
from cdsed.compat.errors import NoListing, NoResponse
from cdsed.compat.places import canonical
from cdsed.errors import InboxError
from cdsed.inbox.parse import read_listing
from cdsed.inbox.report_writer import atomic_text
from cdsed.local.presence import Presence
from cdsed.model.layout import archive_dir
from cdsed.model.listing import Named, Rejected
from cdsed.model.safename import normalise, parse

_log = logging.getLogger(__name__)


def get_conf(path_config_file: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Read a ``localconfig.yml`` of cdsodatacli.

    Parameters
    ----------
    path_config_file
        The file. None: the first ``localconfig.yml`` that exists beside this module, in the directory of an installed
        cdsodatacli, in ``$XDG_CONFIG_HOME/cdsed`` (``~/.config/cdsed``) or in ``/etc/cdsed``; otherwise the
        ``config.yml`` beside this module.

    Raises
    ------
    NoConfiguration
        The file does not exist.
    ConfigError
        It is not a mapping in YAML.
    """
    return read_localconfig(path_config_file, os.environ)


def check_safe_in_outputdir(outputdir: str | os.PathLike[str], safename: str) -> bool:
    """Tell whether a directory has a complete product, as ``X.SAFE``, ``X.SAFE.zip`` or ``X.zip``."""
    return Presence([Path(outputdir)], []).find_now(canonical(safename) or safename) is not None


def check_safe_in_spool(safename: str, conf: Mapping[str, Any]) -> bool:
    """Tell whether one of the spools of the configuration has a complete product."""
    return Presence(spools(conf), []).find_now(canonical(safename) or safename) is not None


def WhichArchiveDir(safe: str, conf: Mapping[str, Any], archive_type: str) -> str:  # noqa: N802 - its old name
    """Return the directory of an archive where a product belongs.

    Parameters
    ----------
    safe
        The product's basename.
    conf
        The configuration; its ``archives`` map names to directories.
    archive_type
        Which of them, e.g. ``datawork``.

    Raises
    ------
    ValueError
        Archives have a layout for Sentinel-1 and -2 only.
    """
    directory = archive_dir(Path(conf["archives"][archive_type]), parse(normalise(safe)), {})
    if directory is None:
        raise ValueError(f"safe not handle : {safe}")
    return str(directory)


def check_safe_in_archive(safename: str, conf: Mapping[str, Any]) -> bool:
    """Tell whether one of the archives of the configuration has a complete product."""
    return Presence([], archives(conf)).find_now(canonical(safename) or safename) is not None


def convert_json_opensearch_query_to_listing_safe_4_dowload(json_path: str | os.PathLike[str]) -> str:
    """Write the listing ``id,safename`` of an OpenSearch response; return its path: ``.txt`` for ``.json``."""
    return _convert(Path(json_path))


def convert_json_odata_query_to_listing_safe_4_download(json_path: str | os.PathLike[str]) -> str:
    """Write the listing ``id,safename`` of an OData response; return its path: ``.txt`` for ``.json``."""
    return _convert(Path(json_path))


def _convert(response: Path) -> str:
    """Write each product of a response once, in its order; the listing appears only when it is complete."""
    listing = response.with_suffix(".txt")
    if listing == response:
        raise ValueError(f"{response} should end in .json: its listing would be written over it")
    if not response.exists():
        raise NoListing(f"{response}: no such file")
    try:
        lines = list(read_listing(response))
    except InboxError as error:
        raise NoResponse(str(error)) from error
    products: dict[str, Named] = {}
    for line in lines:
        match line:
            case Named():
                products.setdefault(line.safename, line)
            case Rejected():
                _log.warning("%s, product %d: %s", response, line.line, line.message)
    with atomic_text(listing) as file:
        csv.writer(file, lineterminator="\n").writerows(
            (each.product_id or "", each.known_name or "") for each in products.values()
        )
    return str(listing)
