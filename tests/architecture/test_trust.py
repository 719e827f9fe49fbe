"""What the code must not contain: ways around TLS, redirects with credentials, paths that follow links."""

import ast
import re

import pytest

from tests.architecture.sources import Source, sources

_SOURCES = sources()
_AROUND_TLS = re.compile(
    r"verify\s*=\s*False|CERT_NONE|CERT_OPTIONAL|check_hostname\s*=|_create_unverified|disable_warnings|"
    r"cert_reqs|assert_hostname|InsecureRequestWarning|PROTOCOL_TLS\b|allow_redirects\s*=\s*True"
)
# Calls that look a path up again: a link could lead them elsewhere between two calls.
_BY_PATH = {"mkdir", "unlink", "rename", "rmdir", "touch", "write_bytes", "write_text", "rmtree", "copyfile"}
# Directories from the settings are made and found by their path: destinations, the parent of the pre-spool.
_TRUSTED = {"destination.mkdir", "place.parent.mkdir"}


@pytest.mark.parametrize("source", _SOURCES, ids=lambda source: source.name)
def test_nothing_goes_around_tls(source: Source):
    assert _AROUND_TLS.findall(source.text) == []


@pytest.mark.parametrize(
    "source", [source for source in _SOURCES if "requests" in set(source.imports())], ids=lambda source: source.name
)
def test_every_request_says_that_it_follows_no_redirect(source: Source):
    calls = [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func) in {"self._session.request", "requests.get", "requests.post", "requests.request"}
    ]
    for call in calls:
        stated = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert stated.get("allow_redirects") == "False"
        assert "verify" in stated


@pytest.mark.parametrize(
    "source", [source for source in _SOURCES if source.room == "transfer"], ids=lambda source: source.name
)
def test_transfers_write_below_open_directories_only(source: Source):
    guilty = [
        ast.unparse(node.func)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _BY_PATH
    ]
    below = ("product.", "folder.", "near.", "spool.", "source.", "aside.", "replaced.")  # all of them are `DirHandle`
    assert [call for call in guilty if call not in _TRUSTED and not call.startswith(below)] == []
