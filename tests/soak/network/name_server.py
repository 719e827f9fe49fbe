"""A small DNS server: it answers A and AAAA from a table, late, with a failure, or not at all."""

import contextlib
import socket
import struct
import threading
import time
from typing import Literal

_A, _AAAA = 1, 28
_SERVFAIL, _NXDOMAIN = 2, 3


class NameServer:
    """Answers questions on a UDP socket until it is closed.

    Attributes
    ----------
    addresses
        IPv4 and IPv6 addresses of each name.
    way
        It ``answers``, it ``fails`` (SERVFAIL), or it is ``silent``.
    late_s
        Seconds until it answers.
    asked
        How many questions came.
    """

    def __init__(self, listening: socket.socket) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.way: Literal["answers", "fails", "silent"] = "answers"
        self.late_s = 0.0
        self.asked = 0
        self._socket = listening
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                question, client = self._socket.recvfrom(512)
                self.asked += 1
                if question and self.way != "silent":
                    threading.Thread(target=self._answer, args=(question, client), daemon=True).start()

    def _answer(self, question: bytes, client: tuple[str, int]) -> None:
        time.sleep(self.late_s)
        with contextlib.suppress(OSError):
            self._socket.sendto(self._response(question), client)

    def _response(self, question: bytes) -> bytes:
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode())
            at += 1 + question[at]
        [kind] = struct.unpack("!H", question[at + 1 : at + 3])
        known = self.addresses.get(".".join(labels).lower())
        code = _SERVFAIL if self.way == "fails" else _NXDOMAIN if known is None else 0
        families = {_A: socket.AF_INET, _AAAA: socket.AF_INET6}
        packed = [
            socket.inet_pton(families[kind], address)
            for address in known or ()
            if kind in families and (":" in address) is (kind == _AAAA)
        ]
        rows = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(each)) + each for each in packed if not code)
        head = question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(packed) if not code else 0, 0, 0)
        return head + question[12 : at + 5] + rows
