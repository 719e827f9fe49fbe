"""Logs, files and errors of the old functions contain no password and no key."""

import logging
import traceback

import geopandas as gpd
import pytest

from cdsed.compat.query import fetch_data
from cdsed.compat.s3_temporary_access_token import _get_fresh_s3_client
from cdsed.errors import AccountError
from tests.support.cdsodatacli import Old

CANARY = "canary-of-a-password"


@pytest.mark.parametrize("is_right", [True, False])
def test_a_login_leaves_its_secrets_nowhere(old: Old, caplog: pytest.LogCaptureFixture, is_right: bool) -> None:
    caplog.set_level(logging.DEBUG)
    password = old.sandbox.accounts[0].password if is_right else CANARY
    login = old.sandbox.accounts[0].user_name
    asked = gpd.GeoDataFrame({"start_datetime": ["2024-01-01"], "end_datetime": ["2024-01-02"], "id_query": ["x"]})
    reported = ""
    try:
        fetch_data(asked, email=login, password=password, cache_dir=old.root / "cache")
    except AccountError:
        reported = traceback.format_exc()
    assert bool(reported) is not is_right
    kept = {path: path.read_bytes() for path in old.root.rglob("*") if path.is_file()}
    assert password not in reported + caplog.text
    assert [path for path, content in kept.items() if password.encode() in content] == []
    assert "Bearer" not in caplog.text
    assert {path.stat().st_mode & 0o077 for path in kept if path.name.startswith("token.")} == {0}


@pytest.mark.parametrize("token", [f"{CANARY}\nX-Other: y", f"{CANARY}€"])
def test_a_token_that_fits_no_header_is_not_quoted(old: Old, token: str) -> None:
    with pytest.raises(ValueError, match="visible") as caught:
        _get_fresh_s3_client(old.conf(), {"Authorization": f"Bearer {token}"})
    assert CANARY not in "".join(traceback.format_exception(caught.value))
