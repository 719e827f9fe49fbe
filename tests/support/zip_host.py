"""A download host that gives zips, and a fetch from it."""

import contextlib
import hashlib
import http.server
import io
import threading
import zipfile

from cdsed.config.secrets import Secret
from cdsed.transfer.connection import Endpoint
from cdsed.transfer.zipper import ZipContext, ZipDownload, fetch_zip, origin

NAME = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
TOKEN = "the-token-itself"


class Host:
    """A download host that answers one body, or whatever `answers` gives for a path."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.seen: list[tuple[str, str | None]] = []
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                host.seen.append((self.path, self.headers.get("Authorization")))
                status, headers, body = host.answers[self.path]
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def archive(**files):
    """Return a zip whose members are named as given, below the product."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as opened:
        for name, content in files.items():
            opened.writestr(zipfile.ZipInfo(f"{NAME}/{name}"), content)
    return data.getvalue()


def download(host, body, *, path="/v", **changes):
    """Return what is to be fetched from the host."""
    known = {
        "url": host.url + path,
        "origins": frozenset({origin(host.url)}),
        "token": Secret(TOKEN),
        "account": "first",
        "safename": NAME,
        "md5": hashlib.md5(body).hexdigest(),
    }
    return ZipDownload(**{**known, **changes})


def context(stop=None):
    """Return what a fetch works with."""
    endpoint = Endpoint("http://unused", "default", 5, 5)
    return ZipContext(
        endpoint, lambda _: contextlib.nullcontext(lambda: None), memoryview(bytearray(4096)), stop or threading.Event()
    )


def get(host, staging, body, headers=None, status=200, **changes):
    """Let the host answer this, and fetch it; return what was unpacked."""
    host.answers["/v"] = (status, headers or {}, body)
    return fetch_zip(download(host, body, **changes), context(), staging)
