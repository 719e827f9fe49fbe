"""Reading the head of a plain response quickly.

`http.client` reads each head with the parser of e-mails, which costs more than the rest of a request. A head that is
plain, as S3 sends it with the bytes of an object, is read here. Any other is left to `http.client`, so that whatever
it tolerates or refuses stays as it is.
"""

import http.client
import re
import socket

# A complete head with ASCII only, whose lines are not folded.
_PLAIN_HEAD = re.compile(rb"HTTP/1\.1 (20[06]) ([ -~]*)\r\n((?:[!-9;-~]+:[\t -~]*\r\n)+)\r\n")
_LENGTH = re.compile(r"[0-9]{1,18}")
_HEADERS_MAX = 100


class _Headers(http.client.HTTPMessage):
    """Header fields that are all different, found by one look."""

    def __init__(self, fields: dict[str, tuple[str, str]]) -> None:
        super().__init__()
        self._by_name = {name: value for name, (_, value) in fields.items()}
        for written, value in fields.values():
            self.set_raw(written, value)

    def get(self, name: str, failobj: str | None = None) -> str | None:  # type: ignore[override]
        return self._by_name.get(name.lower(), failobj)

    def __getitem__(self, name: str) -> str | None:
        return self._by_name.get(name.lower())


class PlainResponse(http.client.HTTPResponse):
    """A response whose head is read here if it is plain, and by `http.client` otherwise."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._asked = method

    def begin(self, **limits: int) -> None:
        """Read the status and the header fields; raises as `http.client.HTTPResponse.begin` does.

        Parameters
        ----------
        limits
            Of newer versions of `http.client`, for a head that is not plain.
        """
        if self._asked not in {"GET", "HEAD"} or not self._begin_plain():
            super().begin(**limits)

    def _begin_plain(self) -> bool:
        """Read a plain head from what has arrived of it; if it is not plain or not all there, read nothing."""
        head = _PLAIN_HEAD.match(self.fp.peek())
        if head is None:
            return False
        lines = head[3].decode("ascii").split("\r\n")[:-1]
        fields = {}
        for line in lines:
            name, _, value = line.partition(":")
            fields[name.lower()] = (name, value.lstrip(" \t"))
        length = fields.get("content-length", ("", ""))[1]
        kept = fields.get("connection", ("", "keep-alive"))[1].lower() == "keep-alive"
        if len(fields) != len(lines) or len(lines) > _HEADERS_MAX or not kept or not _LENGTH.fullmatch(length):
            return False
        if "transfer-encoding" in fields:
            return False
        self.fp.read(head.end())
        self.code = self.status = int(head[1])
        self.reason, self.version = head[2].decode("ascii").strip(), 11
        self.headers = self.msg = _Headers(fields)
        self.chunked, self.chunk_left, self.will_close = False, None, False
        self.length = int(length) if self._asked == "GET" else 0
        return True
