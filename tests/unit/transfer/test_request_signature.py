"""Signing: every signature is the one that botocore makes, for any key, query and headers."""

from datetime import UTC, datetime
from unittest import mock
from urllib.parse import quote

import botocore.auth
import botocore.awsrequest
import botocore.credentials
from hypothesis import example, given
from hypothesis import strategies as st

from cdsed.config.secrets import Secret
from cdsed.transfer.request_signature import RequestSigner, canonical_query

_KEYS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60)
_SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
_QUERIES = st.dictionaries(_KEYS, _KEYS, max_size=4)
_VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
_HEADERS = st.dictionaries(st.sampled_from(["Range", "If-Match", "X-Amz-Meta-A"]), _VALUES, max_size=3)
_HOSTS = st.sampled_from(["eodata.dataspace.copernicus.eu", "127.0.0.1:8333", "[::1]:9000", "s3.example.org:8443"])
_TIMES = st.integers(0, 4 * 10**9)


def _by_botocore(url: str, access: str, secret: str, region: str, headers: dict[str, str], at_s: int) -> dict[str, str]:
    request = botocore.awsrequest.AWSRequest("GET", url, dict(headers))
    credentials = botocore.credentials.Credentials(access, secret)
    now = datetime.fromtimestamp(at_s, UTC)
    with mock.patch("botocore.auth.get_current_datetime", return_value=now):
        botocore.auth.S3SigV4Auth(credentials, "s3", region).add_auth(request)
    return dict(request.headers.items())


@given(_KEYS, _QUERIES, _HEADERS, _SECRETS, _SECRETS, _HOSTS, _TIMES)
@example("S/P+1.SAFE/a b~c?&=é", {"prefix": "a/b+ c", "list-type": "2"}, {"Range": "bytes=0-9"}, "a", "b", "h", 0)
@example("k", {"a": "1", "a-b": "2"}, {}, "a", "b", "h", 0)
def test_a_signature_is_that_of_botocore(key, query, headers, access, secret, host, at_s):
    path, asked = f"/eodata/{quote(key, safe='/~')}", canonical_query(query)
    signed = RequestSigner(Secret(access), Secret(secret), "default", host).signed("GET", path, asked, headers, at_s)
    url = f"https://{host}{path}{'?' if asked else ''}{asked}"
    assert signed == _by_botocore(url, access, secret, "default", headers, at_s)


def test_the_key_of_a_day_is_not_used_on_the_next():
    signer = RequestSigner(Secret("a"), Secret("b"), "default", "h")
    for at_s in (86_399, 86_400, 0):
        expected = _by_botocore("https://h/eodata/x", "a", "b", "default", {}, at_s)
        assert signer.signed("GET", "/eodata/x", "", {}, at_s) == expected


def test_the_host_that_is_signed_is_the_one_that_is_sent_also_with_the_default_port():
    plain, with_port = (
        RequestSigner(Secret("a"), Secret("b"), "default", host).signed("GET", "/x", "", {}, 0)["Authorization"]
        for host in ("h", "h:443")
    )
    assert plain != with_port
