"""Every response, broken connection, and error of disk and machine has its row in the table of failures.

``tests/unit/work/test_outcome.py`` tests what follows from a row. Here the errors are real.
"""

import errno
import os
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from cdsed.config.secrets import Secret
from cdsed.errors import AccountError, DiskError, ProductError, ServiceError, TransferError
from cdsed.model.eodata import split_s3_path
from cdsed.model.objects import ListedObject, Piece
from cdsed.transfer.bandwidth import UNLIMITED
from cdsed.transfer.connection import Connection, Credentials, Endpoint
from cdsed.transfer.fetch import BUFFER_BYTES, FetchContext, fetch_piece
from cdsed.transfer.s3_errors import disk_error, network_error
from cdsed.transfer.s3_list import key_works, list_product
from cdsed.transfer.staging import prepare, staged_sizes
from cdsed.transfer.verify import file_digests
from cdsed.work.failure_rules import RULES, FailureAction, rule_of

_REPOSITORY = Path(__file__).parents[2]
_PIECE = Piece(1, 1, "x/f", "f", "e", 10, 0, 10, 0, 0)


class _Server(socketserver.ThreadingTCPServer):
    """Answers every request on loopback with the same bytes, then hangs up."""

    allow_reuse_address = True
    daemon_threads = True
    response = b""
    then_wait = threading.Event()

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with suppress(OSError):
            while b"\r\n\r\n" not in (asked := self.request.recv(65536)):
                if not asked:
                    return
            self.request.sendall(self.server.response)  # type: ignore[attr-defined]
            if not self.server.response:  # type: ignore[attr-defined]
                self.server.then_wait.wait(5)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def server() -> Iterator[_Server]:
    with _Server() as server:
        yield server
        server.shutdown()


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    connection = Connection(Endpoint(url, "default", 2.0, 0.5), Credentials(Secret("key"), Secret("secret")))
    try:
        yield connection
    finally:
        connection.close()


class _NoProgress:
    def written(self, done_bytes: int) -> None: ...

    def safe(self, done_bytes: int) -> None: ...


def _fetch(url: str, staging: Path) -> TransferError:
    """Fetch an object of ten bytes; return the error."""
    with pytest.raises(TransferError) as caught:
        _fetch_rest(url, staging, _PIECE)
    return caught.value


def _fetch_rest(url: str, staging: Path, piece: Piece) -> None:
    (staging / piece.path).parent.mkdir(parents=True, exist_ok=True)
    (staging / piece.path).write_bytes(bytes(piece.object_bytes))
    buffer = memoryview(bytearray(BUFFER_BYTES))
    with _connected(url) as connection:
        context = FetchContext(connection, "me", "eodata", buffer, UNLIMITED, 60.0, threading.Event())
        fetch_piece(context, piece, staging, frozenset({"md5"}), _NoProgress())


def _list(url: str) -> TransferError:
    with _connected(url) as connection, pytest.raises(TransferError) as caught:
        list_product(connection, "me", split_s3_path("/eodata/Sentinel-1/X.SAFE"))
    return caught.value


def _url(server: _Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def _s3(code: str) -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>no</Message></Error>'.encode()


def _response(status: int, body: bytes = b"", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


_PAGE = b"<html><body>Request blocked</body></html>"
_ANSWERS = [
    *[(status, b"", ServiceError, "Redirected") for status in (300, 301, 302, 303, 307, 308)],
    (301, _s3("PermanentRedirect"), ServiceError, "Redirected"),
    (400, _s3("InvalidArgument"), ServiceError, "BadRequest"),
    (400, _s3("AuthorizationHeaderMalformed"), ServiceError, "BadRequest"),
    (400, _s3("RequestTimeout"), ServiceError, "Timeout"),
    (400, _s3("ExpiredToken"), AccountError, "ExpiredToken"),
    (400, _s3("InvalidToken"), AccountError, "InvalidToken"),
    (401, b"", AccountError, "AccessDenied"),
    (401, _PAGE, ServiceError, "ProxyResponse"),
    (403, b"", AccountError, "AccessDenied"),
    (403, _s3("AccessDenied"), AccountError, "AccessDenied"),
    (403, _s3("InvalidAccessKeyId"), AccountError, "InvalidAccessKeyId"),
    (403, _s3("SignatureDoesNotMatch"), AccountError, "SignatureDoesNotMatch"),
    (403, _s3("RequestTimeTooSkewed"), AccountError, "RequestTimeTooSkewed"),
    (403, _s3("UserSuspended"), AccountError, "UserSuspended"),
    (403, _s3("AccountProblem"), AccountError, "AccountProblem"),
    (403, _s3("InvalidObjectState"), ProductError, "NotOnline"),
    (403, _PAGE, ServiceError, "ProxyResponse"),
    (404, _s3("NoSuchKey"), ProductError, "NoSuchKey"),
    (404, b"", ServiceError, "ProxyResponse"),
    (404, _s3("NoSuchBucket"), ServiceError, "BadRequest"),
    # Other services answer in the same XML, with codes of their own.
    *[(404, _s3(code), ServiceError, "ProxyResponse") for code in ("ResourceNotFound", "NotFound", "NoSuchUpload")],
    (410, _s3("AccountDisabled"), ServiceError, "ProxyResponse"),
    (412, _s3("ConditionNotMet"), ServiceError, "ProxyResponse"),
    (416, _s3("SomethingElse"), ServiceError, "ProxyResponse"),
    (403, _s3("AuthenticationFailed"), ServiceError, "ProxyResponse"),
    (404, _PAGE, ServiceError, "ProxyResponse"),
    (407, _PAGE, ServiceError, "ProxyResponse"),
    (408, b"", ServiceError, "Timeout"),
    (410, b"", ServiceError, "ProxyResponse"),
    *[(status, b"", ServiceError, "BadRequest") for status in (402, 405, 406, 409, 411, 413, 414, 415, 421, 423, 425)],
    (404, _s3("NoSuchKey")[:-10], ServiceError, "ProxyResponse"),
    (404, b'{"detail": "NoSuchKey"}', ServiceError, "ProxyResponse"),
    (412, _s3("PreconditionFailed"), ProductError, "Changed"),
    *[(status, body, ServiceError, "ProxyResponse") for status in (412, 416) for body in (b"", _PAGE)],
    (416, _s3("InvalidRange"), ProductError, "Changed"),
    (429, b"", AccountError, "Throttled"),
    (429, b'{"error":"WAF","message":"Rate limit exceeded","status":429}', AccountError, "ThrottledElsewhere"),
    (429, _PAGE, AccountError, "ThrottledElsewhere"),
    (451, _PAGE, ServiceError, "ProxyResponse"),
    (500, _s3("InternalError"), ServiceError, "InternalError"),
    (500, _s3("AccessDenied"), ServiceError, "500"),  # a failing service must not condemn a key
    (500, b"", ServiceError, "500"),
    (501, _s3("NotImplemented"), ServiceError, "501"),
    (502, _PAGE, ServiceError, "502"),
    (503, _s3("SlowDown"), ServiceError, "SlowDown"),
    (503, _s3("ServiceUnavailable"), ServiceError, "ServiceUnavailable"),
    (503, _PAGE, ServiceError, "503"),
    (504, b"", ServiceError, "504"),
    (509, b"", AccountError, "Throttled"),
    *[(status, _PAGE, ServiceError, str(status)) for status in (520, 521, 522, 523, 524, 525, 526, 527, 530)],
]


def _judged(error: TransferError) -> tuple[type[TransferError], str]:
    return type(error), error.code


@pytest.mark.parametrize(("status", "body", "kind", "code"), _ANSWERS)
def test_every_answer_to_a_get_or_a_listing_has_its_row(
    server: _Server, tmp_path: Path, status: int, body: bytes, kind: type[TransferError], code: str
) -> None:
    server.response = _response(status, body)
    assert _judged(_fetch(_url(server), tmp_path)) == (kind, code)
    assert _judged(_list(_url(server))) == (kind, code)
    assert rule_of(kind("", code=code)) in RULES
    assert (tmp_path / _PIECE.path).read_bytes() == bytes(_PIECE.object_bytes), "nothing of it is written"


@pytest.mark.parametrize(("status", "body"), [(status, body) for status, body, *_ in _ANSWERS])
def test_a_key_is_tried_without_a_failure_of_its_own_whatever_is_answered(
    server: _Server, status: int, body: bytes
) -> None:
    server.response = _response(status, body)
    with _connected(_url(server)) as connection:
        assert not key_works(connection, "me", split_s3_path("/eodata/Sentinel-1/X.SAFE"))


@pytest.mark.parametrize(
    ("response", "code"),
    [
        pytest.param(_response(200, _s3("InternalError")), "UnexpectedObject", id="an error under 200"),
        pytest.param(_response(200, _PAGE, 'ETag: "e"'), "UnexpectedObject", id="a page under 200"),
        pytest.param(_response(206, b"0123456789", 'ETag: "e"'), "UnexpectedObject", id="206 unasked"),
        pytest.param(_response(200, b"0123456789"), "UnexpectedObject", id="no ETag"),
        pytest.param(_response(204), "InvalidResponse", id="204"),
        pytest.param(_response(200, b"0123456789", 'ETag: "e"')[:-4], "TruncatedBody", id="a cut body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-", "UnexpectedObject", id="half a head"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", "InvalidResponse", id="no HTTP at all"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", "InvalidResponse", id="an endless header"
        ),
        pytest.param(b"", "Timeout", id="silence"),
    ],
)
def test_a_malformed_response_is_the_services_fault(
    server: _Server, tmp_path: Path, response: bytes, code: str
) -> None:
    server.response = response
    error = _fetch(_url(server), tmp_path)
    assert _judged(error) == (ServiceError, code)
    assert rule_of(error).action is FailureAction.RETRY


_REST = b"3456789"
_RANGE = "Content-Range: bytes 3-9/10"
_TAG = 'ETag: "e"'


@pytest.mark.parametrize("status", [200, 206])
@pytest.mark.parametrize(
    ("body", "headers", "judged"),
    [
        pytest.param(_REST, (_TAG, _RANGE), None, id="exactly the range"),
        pytest.param(_REST, ('ETag: "f"', _RANGE), (ProductError, "Changed"), id="of another object"),
        pytest.param(_REST, (_RANGE,), (ServiceError, "UnexpectedObject"), id="without an ETag"),
        pytest.param(_REST, (_TAG,), (ServiceError, "UnexpectedObject"), id="without the range"),
        pytest.param(b"0123456789", (_TAG,), (ServiceError, "UnexpectedObject"), id="the whole object"),
        pytest.param(_REST, (_TAG, "Content-Range: bytes 0-6/10"), (ServiceError, "UnexpectedObject"), id="another"),
        pytest.param(_REST, (_TAG, "Content-Range: bytes 3-9/11"), (ServiceError, "UnexpectedObject"), id="longer"),
        pytest.param(_REST[1:], (_TAG, _RANGE), (ServiceError, "UnexpectedObject"), id="another length"),
        pytest.param(_PAGE, ("Content-Type: text/html", 'ETag: "p"'), (ServiceError, "UnexpectedObject"), id="a page"),
    ],
)
def test_a_range_is_taken_only_if_the_response_is_exactly_it_whatever_its_status(
    server: _Server,
    tmp_path: Path,
    status: int,
    body: bytes,
    headers: tuple[str, ...],
    judged: tuple[type[TransferError], str] | None,
) -> None:
    server.response = _response(status, body, *headers)
    rest = replace(_PIECE, done_bytes=3)
    if judged is None:
        _fetch_rest(_url(server), tmp_path, rest)
        assert (tmp_path / _PIECE.path).read_bytes() == bytes(3) + _REST
    else:
        with pytest.raises(TransferError) as caught:
            _fetch_rest(_url(server), tmp_path, rest)
        assert _judged(caught.value) == judged
        assert (tmp_path / _PIECE.path).read_bytes() == bytes(10)


def test_an_unreachable_address_is_the_services_fault(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    assert _judged(_fetch(url, tmp_path)) == (ServiceError, "ConnectionLost")
    assert _judged(_fetch("http://no-such-host.invalid", tmp_path)) == (ServiceError, "NoAddress")
    assert network_error("h", OSError(errno.ENETUNREACH, "unreachable")).code == "Unreachable"


def test_a_server_without_tls_is_the_services_fault(server: _Server, tmp_path: Path) -> None:
    server.response = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    error = _fetch(_url(server).replace("http:", "https:"), tmp_path)
    assert error.code in ("TLS", "Timeout", "ConnectionLost")
    assert isinstance(error, ServiceError)


_WITHOUT_DESCRIPTORS = """
import resource, sys
from pathlib import Path
from cdsed.config.secrets import Secret
from cdsed.errors import TransferError
from cdsed.model.objects import ListedObject
from cdsed.transfer.connection import Connection, Credentials, Endpoint
from cdsed.transfer.staging import prepare
from cdsed.work.failure_rules import rule_of

def notify(call):
    try:
        call()
    except TransferError as error:
        return type(error).__name__, error.code, rule_of(error).action.name

endpoint = Endpoint("http://127.0.0.1:1", "default", 2.0, 0.5)
calls = [
    lambda: Connection(endpoint, Credentials(Secret("key"), Secret("secret"))).request("GET", "eodata", "x/f", {}),
    lambda: prepare(Path(sys.argv[1]), [ListedObject("x/f", "f", 10, "e")], (), ()),
]
notify(calls[0])  # what it imports, it imports now
resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
print([notify(call) for call in calls])
"""


def test_a_process_without_descriptors_charges_neither_service_nor_disk(tmp_path: Path) -> None:
    # In a process of its own: objects left by other tests need descriptors too.
    command = [sys.executable, "-c", _WITHOUT_DESCRIPTORS, str(tmp_path / "staging")]
    ended = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == (f"{[('MachineError', 'EMFILE', FailureAction.BACKOFF.name)] * 2}\n", "")


def _prepared(spool: Path, name: str = "f") -> TransferError:
    with pytest.raises(TransferError) as caught:
        prepare(spool / ".cdsed" / "X.SAFE", [ListedObject(f"x/{name}", name, 10, "e")], (), ())
    return caught.value


def test_a_disk_that_is_read_only_pauses(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    error = _prepared(small_disk)
    assert (type(error), error.code, rule_of(error).action) == (DiskError, "EROFS", FailureAction.PAUSE_DISK)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("EIO", "see dmesg and smartctl"),
        ("ENOSPC", "free some"),
        ("EROFS", "mount it for writing"),
        ("ESTALE", "mount it again"),
        ("ENOTCONN", "mount it again"),
        ("ENODEV", "mount it again"),
        ("ETIMEDOUT", "look at the server, and at the network"),
        ("EACCES", "let this user"),
    ],
)
def test_the_error_of_a_disk_says_what_to_do(code: str, advice: str) -> None:
    error = disk_error("/data/spool", OSError(getattr(errno, code), "why"))
    assert (type(error), error.code, rule_of(error).action) == (DiskError, code, FailureAction.PAUSE_DISK)
    assert str(error).startswith("/data/spool: ")
    assert advice in str(error)


def test_a_name_no_file_system_takes_is_the_products_fault(tmp_path: Path) -> None:
    error = _prepared(tmp_path, "x" * 300)
    assert (type(error), error.code, rule_of(error).action) == (ProductError, "ENAMETOOLONG", FailureAction.ATTEMPT)


def test_an_obstacle_in_the_staging_directory_makes_its_product_begin_again(tmp_path: Path) -> None:
    staging, listed = tmp_path / ".cdsed" / "X.SAFE", [ListedObject("x/f", "f", 10, "e")]
    prepare(staging, listed, (), ())
    staging.rename(tmp_path / "moved")
    staging.write_text("", encoding="utf-8")
    with pytest.raises(DiskError) as caught:
        file_digests(staging, "f", frozenset({"md5"}), threading.Event())
    assert (caught.value.code, rule_of(caught.value).action) == ("ENOTDIR", FailureAction.REPLAN)
    prepare(staging, listed, (), ())
    assert staged_sizes(staging) == {"f": 10}


def test_an_obstacle_in_the_pre_spool_pauses_its_disk_and_charges_no_product(tmp_path: Path) -> None:
    (tmp_path / ".cdsed").write_text("", encoding="utf-8")
    error = _prepared(tmp_path)
    assert (type(error), error.code, rule_of(error).action) == (DiskError, "EPERM", FailureAction.PAUSE_DISK)


@pytest.mark.parametrize("number", sorted(errno.errorcode), ids=errno.errorcode.get)
def test_every_error_of_the_system_has_its_row(number: int) -> None:
    for error in (disk_error("x", OSError(number, os.strerror(number))), network_error("h", OSError(number, "m"))):
        assert rule_of(error) in RULES
        assert error.code not in ("", "Bug")
