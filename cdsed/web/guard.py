"""What surrounds every response: the check of the Host header, strict headers, and a time limit."""

import asyncio
import ipaddress
import logging
import re
import threading
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cdsed.web import documents

_log = logging.getLogger(__name__)

_RESPOND_WITHIN_S = 15.0
_THREADS_MAX = 64  # Starlette runs 40 requests at once
_HOST = re.compile(r"(\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[^:\[\]]+))(:[0-9]{1,5})?")

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for "
    "'script'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "x-robots-tag": "noindex",
}


class Guard:
    """ASGI middleware around the whole application.

    Parameters
    ----------
    app
        The application.
    hosts
        Names that a Host header may have, besides localhost and addresses. A page of a stranger that makes its own
        name point to this machine (DNS rebinding) sends that name.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            return
        started = False

        async def send_strictly(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(raw=message["headers"])
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        if not self._knows(Headers(scope=scope).getlist("host")):
            message = "this server does not know the host of the request; add its name to web.hosts of the settings"
            await JSONResponse(documents.error(421, message), 421)(scope, receive, send_strictly)
            return
        if threading.active_count() > _THREADS_MAX:  # the thread of a request that was given up still waits for a disk
            message = "earlier requests still wait for the disk of the state"
            await JSONResponse(documents.error(503, message), 503)(scope, receive, send_strictly)
            return
        try:
            async with asyncio.timeout(_RESPOND_WITHIN_S):
                await self._app(scope, receive, send_strictly)
        except TimeoutError:
            _log.warning("no response to %s within %.0f s", scope["path"], _RESPOND_WITHIN_S)
            if not started:
                message = f"the state could not be read within {_RESPOND_WITHIN_S:.0f} s"
                await JSONResponse(documents.error(503, message), 503)(scope, receive, send_strictly)

    def _knows(self, hosts: list[str]) -> bool:
        if len(hosts) != 1:
            return False
        form = _HOST.fullmatch(hosts[0].lower())
        if form is None:
            return False
        name = form["ipv6"] or form["name"]
        if name == "localhost" or name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
