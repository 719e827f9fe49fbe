"""Errors of the compat functions are also those of cdsodatacli, and speak of what its users have."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cdsed.compat import fetch_data, utils
from cdsed.compat.download import add_missing_cdse_hash_ids_in_listing
from cdsed.compat.product_parser import ExplodeSAFE
from cdsed.compat.s3_path import guess_s3_path
from cdsed.compat.session import get_sessions_download_available_s3
from cdsed.compat.wording import in_their_words
from cdsed.errors import ConfigError, InboxError

ODATA = utils.convert_json_odata_query_to_listing_safe_4_download
OPENSEARCH = utils.convert_json_opensearch_query_to_listing_safe_4_dowload
BROKEN = '{"value": ['
CONF = {"logins": {"a@x": {"s3-access-key": "key", "s3-secret": "secret"}}}
PRODUCTS = pd.DataFrame({"safe": ["P"], "S3Path": ["k/P"], "outputpath": ["/o/P"]})
SESSIONS = {"a@x": {0: False}}


@pytest.mark.parametrize(
    ("call", "kinds", "words"),
    [
        (lambda _: utils.get_conf("/absent.yml"), (AssertionError, ConfigError), "/absent.yml: no such file"),
        (
            lambda _: get_sessions_download_available_s3(CONF, SESSIONS, PRODUCTS, [], "nobody"),
            (KeyError, ConfigError),
            "there is no group of accounts 'nobody'; there are logins",
        ),
        (
            lambda _: get_sessions_download_available_s3({"g": "x"}, SESSIONS, PRODUCTS, [], "g"),
            (ValueError, ConfigError),
            "g: should be a mapping of logins, or a list of such mappings",
        ),
        (lambda _: fetch_data(pd.DataFrame({"id_query": []})), (KeyError, ValueError), "the table lacks the column 's"),
        (lambda _: ExplodeSAFE("S1A_IW"), (IndexError, ValueError), "'S1A_IW"),
        (lambda _: ExplodeSAFE("x/S1A_IW"), (IndexError, ValueError), "'x/S1A_IW' is a path"),
        (lambda _: guess_s3_path("S2A"), (IndexError, ValueError), "safebasename not handled: 'S2A'"),
        (lambda _: utils.WhichArchiveDir("S1A", {"archives": {}}, "x"), (KeyError,), "'x'"),
        (lambda _: add_missing_cdse_hash_ids_in_listing("/absent.txt", {}), (FileNotFoundError, InboxError), "/absent"),
        (lambda _: ODATA("/absent.json"), (FileNotFoundError, InboxError), "/absent.json: no such file"),
        (lambda path: ODATA(_file(path, BROKEN)), (ValueError, InboxError), "x.json"),
        (lambda path: OPENSEARCH(_file(path, BROKEN)), (KeyError, InboxError), "x.json"),
    ],
)
def test_an_error_is_also_the_one_that_cdsodatacli_raises(
    tmp_path: Path, call: Callable[[Path], object], kinds: tuple[type[Exception], ...], words: str
) -> None:
    with pytest.raises(kinds[0]) as caught:
        call(tmp_path)
    assert [kind.__name__ for kind in kinds if not isinstance(caught.value, kind)] == []
    assert words in str(caught.value)


def _file(directory: Path, content: str) -> str:
    (directory / "x.json").write_text(content, encoding="utf-8")
    return str(directory / "x.json")


@pytest.mark.parametrize(
    ("message", "place", "expected"),
    [
        ("correct the accounts file and restart the daemon", "localconfig.yml", "correct localconfig.yml"),
        ("give its totp in the accounts file", "this call", "give its totp in this call"),
        ("/tmp/call-x/accounts.yml:3: groups.default", "localconfig.yml", "localconfig.yml: groups.default"),
        ("add it to the accounts file, then reload", "localconfig.yml", "add it to localconfig.yml"),
        ("the disk is full", "localconfig.yml", "the disk is full"),
    ],
)
def test_a_message_names_what_the_user_has(message: str, place: str, expected: str) -> None:
    assert in_their_words(message, place) == expected
