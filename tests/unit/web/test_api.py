"""The API over real HTTP: its document, its headers, its errors, and what it refuses."""

import dataclasses
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.settings import Settings
from cdsed.errors import StateDiskError
from cdsed.model.product_state import State
from cdsed.store.database import FILE_NAME, open_state
from cdsed.view.read import read_status
from cdsed.web import documents
from cdsed.web.app import routes
from cdsed.web.state_reader import StateReader
from tests.support.page_lab import TOKEN, ShownReader, make_state, page, product_name

_DOCUMENT = documents.openapi()
_ICON = b"GET /static/icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclasses.dataclass
class Page:
    """A served page: its address, its settings, and the report that it shows."""

    url: str
    settings: Settings
    reader: ShownReader

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(f"{self.url}{path}", timeout=20, **options)

    def api(self, path: str, **options: Any) -> Any:
        response = self.get(f"api/v1/{path}", **options)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    settings = make_state(tmp_path_factory.mktemp("page"))
    reader = ShownReader(settings.state_dir)
    reader.full_disk()
    with page(settings, reader) as url:
        yield Page(url, settings, reader)


def _schema(path: str, method: str, status: int) -> dict[str, Any] | None:
    responses = _DOCUMENT["paths"][path][method]["responses"]
    assert str(status) in responses, f"{method} {path} does not name {status}"
    content = responses[str(status)].get("content")
    return next(iter(content.values()))["schema"] if content else None


def _check(path: str, response: requests.Response, method: str = "get") -> None:
    schema = _schema(path, method, response.status_code)
    assert schema is not None
    whole = {**schema, "components": _DOCUMENT["components"]}
    errors = [
        f"{list(error.path)}: {error.message}" for error in Draft202012Validator(whole).iter_errors(response.json())
    ]
    assert errors == []
    if response.status_code == 200:
        assert response.headers["content-type"] in _DOCUMENT["paths"][path][method]["responses"]["200"]["content"]


_CALLS = [
    ("/status", "status"),
    ("/listings", "listings"),
    ("/listings/{id}", "listings/1"),
    ("/listings/{id}", "listings/77"),
    ("/listings/{id}", f"listings/{'9' * 30}"),
    ("/listings/{id}", f"listings/{'9' * 5000}"),
    ("/listings/{id}", "listings/week12.geojson"),
    ("/listings/{id}/footprints", "listings/1/footprints"),
    ("/listings/{id}/footprints", "listings/77/footprints"),
    ("/listings/{id}/footprints", f"listings/{'9' * 30}/footprints"),
    ("/listings/{id}/footprints", "listings/1/footprints?limit=0"),
    ("/products/{name}", f"products/{product_name(3)}"),
    ("/products/{name}", "products/unknown"),
    ("/products/{name}", "products/week12.geojson"),
    ("/products/{name}", "products/%00%ff%E2%80%AE%3Cscript%3E"),
    ("/failures", "failures"),
    ("/failures", "failures?limit=x"),
    ("/failures", "failures?before=yesterday"),
    ("/failures", f"failures?before=1_{'9' * 30}"),
    ("/failures", f"failures?before=nan_{'9' * 5000}"),
    ("/failures", "failures?before=&state=&code=%00"),
    ("/failures", "failures?state=done"),
    ("/transfers", "transfers"),
    ("/accounts", "accounts"),
    ("/traffic", "traffic"),
    ("/traffic", "traffic?hours=721"),
    ("/pauses", "pauses"),
    ("/openapi.json", "openapi.json"),
]


@pytest.mark.parametrize(("path", "call"), _CALLS, ids=[call[:40] for _, call in _CALLS])
def test_each_response_is_as_the_document_says(lab: Page, path: str, call: str) -> None:
    _check(path, lab.get(f"api/v1/{call}"))


@pytest.mark.parametrize("path", ["metrics/", "api/v1/status/", "static", "//evil.example/static"])
def test_no_path_leads_elsewhere(lab: Page, path: str) -> None:
    assert lab.get(path, allow_redirects=False).status_code == 404


def test_the_document_names_every_route_and_no_other(lab: Page) -> None:
    for schema in _DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    documented = {(f"/api/v1{path}", method) for path, methods in _DOCUMENT["paths"].items() for method in methods}
    served = {
        (re.sub(r":\w+}", "}", route.path), method.lower())
        for route in routes(lab.settings, lab.reader, None)
        if route.path.startswith("/api/")
        for method in route.methods - {"HEAD"}
    }
    assert served == documented
    assert {path for path, _ in _CALLS} == {path for path, methods in _DOCUMENT["paths"].items() if "get" in methods}


@pytest.mark.parametrize("kind", ["absent", "fresh", "stopped"])
def test_the_api_answers_without_a_daemon_and_without_a_state(tmp_path: Path, kind: str) -> None:
    settings = make_state(tmp_path) if kind == "stopped" else Settings(state_dir=tmp_path / "state")
    if kind == "fresh":
        open_state(settings.state_dir).close()
    with page(settings, StateReader(settings.state_dir, SYSTEM_CLOCK), None) as url:
        for path, call in _CALLS:
            _check(path, requests.get(f"{url}api/v1/{call}", timeout=20))
        assert requests.get(f"{url}metrics", timeout=20).status_code == 200
        status = requests.get(f"{url}api/v1/status", timeout=20).json()
    assert status["daemon"]["state"] == ("died" if kind == "stopped" else "never started")
    assert status["controls"] is False


def test_the_status_is_the_one_of_the_command(lab: Page) -> None:
    view = read_status(lab.settings.state_dir)
    with page(lab.settings, StateReader(lab.settings.state_dir, SYSTEM_CLOCK)) as url:
        shown = requests.get(f"{url}api/v1/status", timeout=20).json()
    assert shown["products"] == {
        state: {"products": tally.products, "size_bytes": tally.size_bytes}
        for state, tally in view.report.products.items()
    }


def test_an_unchanged_answer_is_not_sent_again(lab: Page) -> None:
    first = lab.get("api/v1/disks-do-not-exist")
    assert first.status_code == 404
    first = lab.get("api/v1/pauses")
    again = lab.get("api/v1/pauses", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = lab.get("api/v1/pauses", headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


def test_long_answers_are_compressed(lab: Page) -> None:
    response = lab.get("api/v1/failures", headers={"Accept-Encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert len(response.json()["failures"]) == 24


@pytest.mark.parametrize(
    "path", ["", "static/app.js", "api/v1/status", "api/v1/nothing", "metrics", "api/v1/failures?limit=x"]
)
def test_every_response_has_strict_headers(lab: Page, path: str) -> None:
    headers = lab.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers
    assert not [name for name in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:8340", 200),
        ("[::1]:8340", 200),
        ("evil.example", 421),
        ("evil.example:80", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("[::1].evil.example", 421),
        ("", 421),
    ],
)
def test_a_name_that_points_here_is_refused(lab: Page, host: str, status: int) -> None:
    response = lab.get("api/v1/status", headers={"Host": host})
    assert response.status_code == status


def test_a_name_of_the_settings_is_known(lab: Page) -> None:
    settings = lab.settings.model_copy(
        update={"web": lab.settings.web.model_copy(update={"hosts": ("cdsed.example.org",)})}
    )
    with page(settings, lab.reader) as url:
        known = requests.get(f"{url}api/v1/pauses", headers={"Host": "CDSED.example.org:443"}, timeout=20)
        assert known.status_code == 200


def test_errors_are_json_with_a_sentence(lab: Page) -> None:
    for path, status in (
        ("nothing", 404),
        ("api/v1/nothing", 404),
        ("static/../app.py", 404),
        ("static/%2e%2e/app.py", 404),
    ):
        response = lab.get(path)
        assert response.status_code == status
        assert " " in response.json()["error"]["message"]
    assert requests.post(f"{lab.url}api/v1/status", timeout=20).status_code == 405


def test_a_state_that_cannot_be_read_is_said_in_a_sentence(lab: Page) -> None:
    lab.reader.fail(StateDiskError("the disk of the state fails; secret=hush-hush-hush"))
    try:
        response = lab.get("api/v1/status")
        assert response.status_code == 503
        assert response.json()["error"]["message"] == "the disk of the state fails; secret=***"
        lab.reader.fail(ZeroDivisionError("a bug"))
        response = lab.get("api/v1/status")
        assert response.status_code == 500
        assert "a bug" not in response.text
        assert response.headers["x-content-type-options"] == "nosniff"
    finally:
        lab.reader.fail(None)


def test_failures_come_by_pages_each_once(lab: Page) -> None:
    names: list[str] = []
    following = ""
    while following is not None:
        found = lab.api(f"failures?limit=7{f'&before={following}' if following else ''}")
        names += [each["safename"] for each in found["failures"]]
        following = found["next"]
    assert len(names) == len(set(names)) == 24
    assert names[0] == product_name(8)
    waiting = lab.api("failures?state=retry_wait&code=ConnectionLost")["failures"]
    assert len(waiting) == 12
    assert 60 < waiting[0]["next_try_in_s"] <= 90


def test_traffic_is_summed_by_hour(lab: Page) -> None:
    day, month = lab.api("traffic"), lab.api("traffic?hours=720")
    assert (len(day["bytes"]), len(month["bytes"])) == (24, 720)
    assert month["bytes"][-24:] == day["bytes"]
    assert set(day["bytes_by_account"]) == {"first", "second"}


def test_footprints_have_the_state_of_their_product(lab: Page) -> None:
    found = lab.api("listings/1/footprints")
    assert (found["products"], found["looked_at"], len(found["features"])) == (120, 120, 110)
    states = {each["properties"]["name"]: each["properties"]["state"] for each in found["features"]}
    assert states[product_name(8)] == State.FAILED
    assert lab.api("listings/1/footprints?limit=12")["looked_at"] == 12


def test_a_writer_does_not_keep_the_page_waiting(lab: Page) -> None:
    db = open_state(lab.settings.state_dir)
    with page(lab.settings, StateReader(lab.settings.state_dir, SYSTEM_CLOCK)) as url, db.write():
        db.rows("UPDATE product SET priority = 1")
        begun_s = time.monotonic()
        assert requests.get(f"{url}api/v1/status", timeout=20).status_code == 200
        assert time.monotonic() - begun_s < 2
    db.close()


def _send(lab: Page, method: str, path: str, *, body: str | None = None, **headers: str) -> requests.Response:
    data = None if body is None else body.encode("utf-8", "surrogateescape")
    return requests.request(method, f"{lab.url}api/v1/{path}", data=data, headers=headers, timeout=20)


def _rows(lab: Page) -> list[tuple[str, str, str]]:
    import apsw

    db = apsw.Connection(str(lab.settings.state_dir / FILE_NAME))
    try:
        return list(db.execute("SELECT kind, name, source FROM pause"))
    finally:
        db.close()


def test_a_pause_needs_the_token_and_is_undone_by_its_opposite(lab: Page) -> None:
    right = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    wanted = '{"kind": "all"}'
    for _ in range(2):
        done = _send(lab, "POST", "pauses", body=wanted, **right)
        assert done.status_code == 200
        _check("/pauses", done, "post")
        assert _rows(lab) == [("all", "", "person")]
    for _ in range(2):
        assert _send(lab, "DELETE", "pauses/all", **right).status_code == 200
        assert _rows(lab) == []


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (401, '{"kind":"all"}', {"Content-Type": "application/json"}),
        (401, '{"kind":"all"}', {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}x"}),
        (401, '{"kind":"all"}', {"Content-Type": "application/json", "Authorization": f"Basic {TOKEN}"}),
        (401, '{"kind":"all"}', {"Content-Type": "application/json", "Cookie": f"token={TOKEN}"}),
        (403, '{"kind":"all"}', {"Authorization": f"Bearer {TOKEN}", "Origin": "http://evil.example"}),
        (403, '{"kind":"all"}', {"Authorization": f"Bearer {TOKEN}", "Origin": "null"}),
        (403, '{"kind":"all"}', {"Authorization": f"Bearer {TOKEN}", "Origin": "http://[x"}),
        (415, '{"kind":"all"}', {"Authorization": f"Bearer {TOKEN}", "Content-Type": "text/plain"}),
        *(
            (400, body, {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"})
            for body in (
                "",
                "[]",
                '{"kind":"disk"}',
                '{"kin d":"all"}',
                '{"kind":"all","kind":"all"}',
                '[["kind","all"]]',
                "[" * 4000,
                "\udcff",
            )
        ),
        (413, "x" * 5000, {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}),
    ],
)
def test_what_another_page_could_send_is_refused(lab: Page, status: int, body: str, headers: dict[str, str]) -> None:
    response = _send(lab, "POST", "pauses", body=body, **headers)
    assert response.status_code == status
    _check("/pauses", response, "post")
    assert _rows(lab) == []


def test_without_a_token_the_page_only_reads(lab: Page) -> None:
    with page(lab.settings, lab.reader, None) as url:
        headers = {"Authorization": "Bearer ", "Content-Type": "application/json"}
        assert (
            requests.post(f"{url}api/v1/pauses", data='{"kind":"all"}', headers=headers, timeout=20).status_code == 403
        )
        assert requests.delete(f"{url}api/v1/pauses/all", headers=headers, timeout=20).status_code == 403
    assert _rows(lab) == []


def test_no_response_has_the_token(lab: Page) -> None:
    for call in [*(f"api/v1/{call}" for _, call in _CALLS), "", "metrics"]:
        assert TOKEN not in lab.get(call).text


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"", b""),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n", b"X: y\r\n"),
        (_ICON + b"GET /metrics HTTP/1.1\r\n", b"X: y\r\n"),
        (b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n", b"x"),
    ],
    ids=["silence", "first request", "second request", "body"],
)
def test_a_request_that_comes_byte_by_byte_is_ended(
    lab: Page, monkeypatch: pytest.MonkeyPatch, begin: bytes, more: bytes
) -> None:
    monkeypatch.setattr("cdsed.web.server._REQUEST_WITHIN_S", 0.1)
    port = int(lab.url.split(":")[2].rstrip("/"))
    ended_s = time.monotonic() + 5
    with socket.create_connection(("127.0.0.1", port), timeout=0.05) as slow, suppress(ConnectionError):
        slow.sendall(begin)
        while time.monotonic() < ended_s:
            slow.sendall(more)
            with suppress(TimeoutError):
                if slow.recv(100) == b"":
                    break
    assert time.monotonic() < ended_s


def test_a_connection_that_asks_often_stays_open(lab: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdsed.web.server._REQUEST_WITHIN_S", 0.2)
    with closing(HTTPConnection("127.0.0.1", int(lab.url.split(":")[2].rstrip("/")), timeout=5)) as browser:
        browser.connect()
        browser.auto_open = 0
        for _ in range(7):
            browser.request("GET", "/static/icon.svg")
            assert len(browser.getresponse().read()) == 250
            time.sleep(0.1)


def test_an_answer_that_takes_too_long_is_given_up(lab: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdsed.web.guard._RESPOND_WITHIN_S", 0.2)
    monkeypatch.setattr(lab.reader, "status", lambda: time.sleep(0.6))
    response = lab.get("api/v1/status")
    assert response.status_code == 503
    assert "within" in response.json()["error"]["message"]


def test_requests_that_hang_do_not_make_threads_without_end(lab: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdsed.web.guard._THREADS_MAX", threading.active_count() + 3)
    monkeypatch.setattr("cdsed.web.guard._RESPOND_WITHIN_S", 0.05)
    monkeypatch.setattr("cdsed.web.state_reader.StateReader.database", lambda _: hung.wait(20))
    hung = threading.Event()
    try:
        said = [lab.get("api/v1/traffic").json()["error"]["message"] for _ in range(8)]
    finally:
        hung.set()
    assert said[0].startswith("the state could not be read within")
    assert said[-1] == "earlier requests still wait for the disk of the state"
