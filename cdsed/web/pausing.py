"""The paths that change something: pause and resume. They need the token, and no browser sends it unasked.

The token comes in the header Authorization, never in a cookie, so that a page of a stranger cannot use it (CSRF).
"""

import asyncio
import hmac
import json

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from cdsed.config.secrets import Secret
from cdsed.store import commands, pauses
from cdsed.web import documents
from cdsed.web.responses import json_response
from cdsed.web.state_reader import StateReader

_OWNER = "the web page"
_AFTER_A_WRONG_TOKEN_S = 0.5
_BODY_BYTES_MAX = 4096


class Controls:
    """Pauses and resumes the daemon.

    Parameters
    ----------
    reader
        Opens the state.
    token
        What a request has to send; None: every request is refused.
    """

    def __init__(self, reader: StateReader, token: Secret | None) -> None:
        self._reader = reader
        self._token = token

    async def pause(self, request: Request) -> Response:
        """Let no transfer begin; what is in transfer is finished."""
        await self._allow(request)
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise HTTPException(415, "the body should be application/json")
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _BODY_BYTES_MAX:
                raise HTTPException(413, "the body is too long")
        if not _asks_for_all(body):
            raise HTTPException(400, 'the body should be {"kind": "all"}')
        return await run_in_threadpool(self._pause, request)

    async def resume(self, request: Request) -> Response:
        """End the pause of all transfers."""
        await self._allow(request)
        return await run_in_threadpool(self._resume, request)

    def _pause(self, request: Request) -> Response:
        with self._reader.writing() as db, db.write():
            pauses.add(db, self._reader.clock, "all", "", None)
            commands.add(db, self._reader.clock, _OWNER, "pause all")
        return self._pauses(request)

    def _resume(self, request: Request) -> Response:
        with self._reader.writing() as db, db.write():
            pauses.remove(db, "all", "")
            commands.add(db, self._reader.clock, _OWNER, "resume all")
        return self._pauses(request)

    def _pauses(self, request: Request) -> Response:
        return json_response(request, documents.part(self._reader.status(), "pauses"))

    async def _allow(self, request: Request) -> None:
        """Raise 403 or 401 unless the request has the token and comes from this page, or from no page."""
        if self._token is None:
            raise HTTPException(403, "this page only reads; web.token_file of the settings lets it pause and resume")
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != request.headers["host"]:
            raise HTTPException(403, "the request comes from another page")
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        expected = self._token.reveal().encode()
        if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), expected):
            await asyncio.sleep(_AFTER_A_WRONG_TOKEN_S)
            raise HTTPException(401, "the token is missing or wrong", {"www-authenticate": "Bearer"})


def _asks_for_all(body: bytes) -> bool:
    try:
        return bool(json.loads(body, object_pairs_hook=list) == [("kind", "all")])  # a key that comes twice does not
    except (ValueError, RecursionError):
        return False
