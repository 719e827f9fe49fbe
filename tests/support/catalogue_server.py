"""A catalogue in miniature: a real HTTP server with responses that a test prepares."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Response:
    body: bytes = b'{"value": []}'
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    announced: int | None = None  # Content-Length, where it differs from the truth
    hang: threading.Event | None = None  # wait for it before answering


def rows(*products: dict[str, Any], **more: Any) -> Response:
    return Response(json.dumps({"value": products, **more}).encode())


def product(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "Id": "521bd8f9-48a5-4e1f-9435-58f97cb64d39",
        "Name": name,
        "ContentLength": 2121095339,
        "ModificationDate": "2024-06-04T12:19:02.060894Z",
        "Online": True,
        "S3Path": f"/eodata/Sentinel-1/SAR/{name}",
        "Checksum": [{"Value": "4EEC48737ECAB7AAB2BF590A8DEC23B1", "Algorithm": "MD5"}],
    } | fields


@dataclass
class Server:
    url: str
    respond: Callable[[str], Response]
    respond_to_list: Callable[[list[str]], Response] = lambda _: Response(b'{"detail":"Not Found"}', 404)
    respond_on_deleted: Callable[[str], Response] = lambda _: rows()
    paths: list[str] = field(default_factory=list)
    deleted_paths: list[str] = field(default_factory=list)
    lists: list[list[str]] = field(default_factory=list)
    agents: list[str | None] = field(default_factory=list)
    peers: set[tuple[str, int]] = field(default_factory=set)

    def filters(self) -> list[str]:
        return [parse_qs(urlsplit(path).query)["$filter"][0] for path in self.paths]

    def responses(self, *responses: Response) -> None:
        """Give these responses one after the other."""
        given = iter(responses)
        self.respond = lambda _: next(given)


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if "/DeletedProducts" in self.path:
                server.deleted_paths.append(self.path)
                self.give(server.respond_on_deleted(self.path))
                return
            server.paths.append(self.path)
            server.agents.append(self.headers["User-Agent"])
            server.peers.add(self.client_address)
            self.give(server.respond(self.path))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.lists.append([product["Name"] for product in body["FilterProducts"]])
            self.give(server.respond_to_list(server.lists[-1]))

        def give(self, response: Response) -> None:
            if response.hang:
                response.hang.wait(30)
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(response.announced or len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)
            self.close_connection = response.announced is not None

        def log_message(self, *args: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # clients that give up are what some tests are about

    http = Quiet(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        http.socket = context.wrap_socket(http.socket, server_side=True)
    scheme = "https" if certificate else "http"
    server = Server(f"{scheme}://127.0.0.1:{http.server_port}/odata/v1", lambda _: rows())
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
