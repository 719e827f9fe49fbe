"""Handling one connection, request after request: authentication, quotas, and the response."""

import contextlib
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import unquote

from cdsed.clock import Clock
from cdsed.sandbox import control, foreign, keysmanager, odata, s3, stac, tokens, zipper
from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.connection import ClientConnection, PeerGone
from cdsed.sandbox.delivery import Delivery
from cdsed.sandbox.faults import DELIVERY_FAULTS, REFUSALS, Fault, FaultRequest
from cdsed.sandbox.http import BadRequest, Request, Response, json_response
from cdsed.sandbox.identity import LoginRefusal
from cdsed.sandbox.keysmanager import SandboxKeysManager
from cdsed.sandbox.quotas import AccountQuota
from cdsed.sandbox.signature import Refused, authenticate
from cdsed.sandbox.waf import Waf

_LOG = logging.getLogger(__name__)


class ServerSite(control.Controlled, Protocol):
    """The parts of a sandbox that a conversation uses."""

    clock: Clock
    url: str
    port: int
    waf: Waf
    keys_manager: SandboxKeysManager


class Conversation:
    """Answers every request of one connection.

    Parameters
    ----------
    site
        The sandbox.
    connection
        Closed at the end of `run`.
    """

    def __init__(self, site: ServerSite, connection: ClientConnection) -> None:
        self._site = site
        self._connection = connection
        self._quota: AccountQuota | None = None

    def run(self) -> None:
        """Answer requests until one side closes the connection."""
        try:
            while (request := self._connection.read_request()) is not None:
                if not self._response(request):
                    break
        except PeerGone:
            _LOG.debug("a client closed its connection in the middle of a response")
        except BadRequest as error:
            with contextlib.suppress(PeerGone):
                response = json_response(400, {"error": str(error)})
                self._deliver(response)
        finally:
            self._belong_to(None)
            self._connection.close()

    def _response(self, request: Request) -> bool:
        """Answer one request; return whether another one may follow."""
        if request.path.startswith(control.PATH):
            response = control.respond(self._site, request)
            self._deliver(response)
        elif request.path.startswith((f"{tokens.REALM}/", f"{keysmanager.PATH}/")):
            response = self._respond_account(request)
        elif zipper.is_for_zipper(request):
            response = self._respond_zipper(request)
        elif request.path.startswith("/odata/") or stac.is_for_stac(request):
            response = self._respond_catalogue(request)
        else:
            response = self._respond_s3(request)
        return not response.close and request.headers.get("connection", "").lower() != "close"

    def _respond_account(self, request: Request) -> Response:
        is_identity = request.path.startswith(tokens.REALM)
        asked = FaultRequest("identity" if is_identity else "keys", request.method, request.path, "")
        fault = self._site.faults.pick(asked)
        if fault and fault.kind in REFUSALS:
            response = odata.error_response(fault.kind, fault.retry_after_s)
        else:
            response = (self._site.identity if is_identity else self._site.keys_manager).respond(request)
        response = foreign.in_place_of(response, fault, asked.operation)
        self._note(request, asked, response.status)
        self._deliver(response, fault=fault)
        return response

    def _respond_zipper(self, request: Request) -> Response:
        asked = FaultRequest("zip", request.method, request.path, "")
        response = zipper.redirect(request, self._site.port)
        fault = None
        if response is None:
            account = self._site.identity.bearer(request, in_query=True)
            fault = self._site.faults.pick(asked)
            response = foreign.in_place_of(self._zip_or_refusal(request, account), fault, asked.operation)
        if request.method == "HEAD":
            response = replace(response, body=())
        self._note(request, asked, response.status)
        self._deliver(response, fault=fault, key=asked.key if response.status == 200 else "")
        return response

    def _zip_or_refusal(self, request: Request, account: SandboxAccount | LoginRefusal) -> Response:
        if isinstance(account, LoginRefusal):
            return zipper.unauthorized(account)
        quota = self._site.quotas.named(account.name)
        self._belong_to(quota)
        if not quota.admit(self._connection):
            return zipper.overbooked(account.sessions)
        return zipper.respond(self._site.bucket, request)

    def _respond_catalogue(self, request: Request) -> Response:
        is_stac = stac.is_for_stac(request)
        key = request.parameters().get("$filter") or unquote(request.path)
        if is_stac and request.query:
            key = f"{key}?{unquote(request.query)}"
        asked = FaultRequest("stac" if is_stac else "odata", request.method, key, "")
        # A list of names is in the body of a POST.
        whole = replace(asked, key=f"{asked.key} {request.body.decode(errors='replace')}") if request.body else asked
        fault = self._site.faults.pick(whole)
        if fault and fault.kind in REFUSALS:
            response = odata.error_response(fault.kind, fault.retry_after_s)
        elif fault and fault.kind in {"xml_body", "wrong_bytes"}:
            response = s3.error_response(Refused(200, "InternalError", "We encountered an internal error."), request)
        elif not self._site.waf.admits(self._site.catalogue.settings.requests_per_s):
            response = odata.error_response("throttle", self._site.catalogue.settings.retry_after_s)
        else:
            answer = (stac if is_stac else odata).respond(self._site, request)
            response = foreign.in_place_of(answer, fault, asked.operation)
        self._note(request, asked, response.status)
        self._deliver(response, fault=fault)
        return response

    def _respond_s3(self, request: Request) -> Response:
        asked = FaultRequest("unknown", request.method, "", "")
        fault = None
        try:
            question = s3.question(request)
            asked = FaultRequest(question.operation, request.method, question.key, "")
            asked = replace(asked, account=self._admitted(request))
            fault = self._site.faults.pick(asked)
            response = self._object_or_fault(request, question, fault)
        except Refused as error:
            asked = replace(asked, account=asked.account or error.account or "")
            response = s3.error_response(error, request)
            if error.status == 429 and fault is None:
                response = replace(response, close=True)
            if fault and fault.retry_after_s is not None:
                headers = {**response.headers, "Retry-After": str(fault.retry_after_s)}
                response = replace(response, headers=headers)
        response = foreign.in_place_of(response, fault, asked.operation)
        if request.method == "HEAD":
            response = replace(response, body=())
        self._note(request, asked, response.status)
        self._deliver(response, fault=fault, key=asked.key if response.status in {200, 206} else "")
        return response

    def _admitted(self, request: Request) -> str:
        """Return the account that signed; from now on the connection counts as one of this account."""
        now = datetime.fromtimestamp(self._site.clock.utc_s(), UTC)
        try:
            account = authenticate(request, self._site.quotas.account_of, now)
        except Refused as error:
            if error.account:
                self._site.quotas.named(error.account).refuse()
            raise
        quota = self._site.quotas.named(account.name)
        self._belong_to(quota)
        if not quota.admit(self._connection):
            raise Refused(429, "TooManyRequests", "beyond a quota of the account", account.name)
        return account.name

    def _object_or_fault(self, request: Request, question: s3.S3Question, fault: Fault | None) -> Response:
        kind = fault.kind if fault else ""
        if fault and kind in REFUSALS:
            status, code, message = REFUSALS[kind]
            raise Refused(status, fault.code or code, message)
        if fault and kind == "changed_etag":
            self._site.bucket.change(question.key, same_content=fault.same_content)
        if kind == "xml_body":
            error = Refused(200, "InternalError", "We encountered an internal error. Please try again.")
            return s3.error_response(error, request)
        response = s3.respond(self._site.bucket, request, question, spoil=kind == "wrong_bytes")
        return replace(response, status=200) if kind == "range_as_200" else response

    def _deliver(self, response: Response, *, fault: Fault | None = None, key: str = "") -> None:
        quota = self._quota
        pacer = quota.pacer(self._connection) if quota and key else None
        delivered = fault if fault and fault.kind in DELIVERY_FAULTS else None

        def sent(count_bytes: int) -> None:
            if quota and key:
                quota.sent(count_bytes)
                self._site.counters.sent(key, count_bytes)

        Delivery(self._site.clock, pacer, delivered, sent).send(self._connection, response)

    def _belong_to(self, quota: AccountQuota | None) -> None:
        if self._quota is not None and self._quota is not quota:
            self._quota.leave(self._connection)
        self._quota = quota

    def _note(self, request: Request, asked: FaultRequest, status: int) -> None:
        entry = {
            "operation": asked.operation,
            "account": asked.account,
            "method": asked.method,
            "key": asked.key,
            "query": request.query,
            "range": request.headers.get("range", ""),
            "status": status,
        }
        self._site.counters.asked(entry)
