"""What happens on one connection, request after request: who asks, may they, and what they get."""

import contextlib
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import unquote

from cdsed.clock import Clock
from cdsed.sandbox import control, foreign, identity, keysmanager, odata, s3, zipper
from cdsed.sandbox.accounts import Account
from cdsed.sandbox.connection import Connection, PeerGone
from cdsed.sandbox.delivery import Delivery
from cdsed.sandbox.faults import DELIVERY_FAULTS, REFUSALS, Asked, Fault
from cdsed.sandbox.http import Answer, BadRequest, Request, json_answer
from cdsed.sandbox.identity import Refusal
from cdsed.sandbox.keysmanager import KeysManager
from cdsed.sandbox.quotas import AccountQuota
from cdsed.sandbox.signature import Refused, authenticate
from cdsed.sandbox.waf import Waf

_LOG = logging.getLogger(__name__)


class Site(control.Controlled, Protocol):
    """The sandbox, as a conversation sees it."""

    clock: Clock
    url: str
    port: int
    waf: Waf
    keys_manager: KeysManager


class Conversation:
    """Answers everything that comes over one connection.

    Parameters
    ----------
    site
        The sandbox.
    connection
        Closed at the end of `run`.
    """

    def __init__(self, site: Site, connection: Connection) -> None:
        self._site = site
        self._connection = connection
        self._quota: AccountQuota | None = None

    def run(self) -> None:
        """Answer until either side closes."""
        try:
            while (request := self._connection.read_request()) is not None:
                if not self._answer(request):
                    break
        except PeerGone:
            _LOG.debug("a client closed its connection in the middle of an answer")
        except BadRequest as error:
            with contextlib.suppress(PeerGone):
                answer = json_answer(400, {"error": str(error)})
                self._deliver(answer)
        finally:
            self._belong_to(None)
            self._connection.close()

    def _answer(self, request: Request) -> bool:
        """Answer one request; return whether another one may follow."""
        if request.path.startswith(control.PATH):
            answer = control.respond(self._site, request)
            self._deliver(answer)
        elif request.path == identity.PATH or request.path.startswith(f"{keysmanager.PATH}/"):
            answer = self._answer_account(request)
        elif zipper.is_for_zipper(request):
            answer = self._answer_zipper(request)
        elif request.path.startswith("/odata/"):
            answer = self._answer_odata(request)
        else:
            answer = self._answer_s3(request)
        return not answer.close and request.headers.get("connection", "").lower() != "close"

    def _answer_account(self, request: Request) -> Answer:
        is_identity = request.path == identity.PATH
        asked = Asked("identity" if is_identity else "keys", request.method, request.path, "")
        fault = self._site.faults.pick(asked)
        if fault and fault.kind in REFUSALS:
            answer = odata.error_answer(fault.kind, fault.retry_after_s)
        else:
            answer = (self._site.identity if is_identity else self._site.keys_manager).respond(request)
        answer = foreign.in_place_of(answer, fault, asked.operation)
        self._note(request, asked, answer.status)
        self._deliver(answer, fault=fault)
        return answer

    def _answer_zipper(self, request: Request) -> Answer:
        asked = Asked("zip", request.method, request.path, "")
        answer = zipper.redirect(request, self._site.port)
        fault = None
        if answer is None:
            account = self._site.identity.bearer(request)
            fault = self._site.faults.pick(asked)
            answer = foreign.in_place_of(self._zip_or_refusal(request, account), fault, asked.operation)
        self._note(request, asked, answer.status)
        self._deliver(answer, fault=fault, key=asked.key if answer.status == 200 else "")
        return answer

    def _zip_or_refusal(self, request: Request, account: Account | Refusal) -> Answer:
        if isinstance(account, Refusal):
            return zipper.unauthorized(account)
        quota = self._site.quotas.named(account.name)
        self._belong_to(quota)
        if not quota.admit(self._connection):
            return zipper.overbooked(account.sessions)
        return zipper.respond(self._site.bucket, request)

    def _answer_odata(self, request: Request) -> Answer:
        asked = Asked("odata", request.method, request.parameters().get("$filter") or unquote(request.path), "")
        fault = self._site.faults.pick(asked)
        if fault and fault.kind in REFUSALS:
            answer = odata.error_answer(fault.kind, fault.retry_after_s)
        elif fault and fault.kind in {"xml_body", "wrong_bytes"}:
            answer = s3.error_answer(Refused(200, "InternalError", "We encountered an internal error."), request)
        elif not self._site.waf.admits(self._site.catalogue.settings.requests_per_s):
            answer = odata.error_answer("throttle", self._site.catalogue.settings.retry_after_s)
        else:
            answer = foreign.in_place_of(odata.respond(self._site, request), fault, asked.operation)
        self._note(request, asked, answer.status)
        self._deliver(answer, fault=fault)
        return answer

    def _answer_s3(self, request: Request) -> Answer:
        asked = Asked("unknown", request.method, "", "")
        fault = None
        try:
            question = s3.question(request)
            asked = Asked(question.operation, request.method, question.key, "")
            asked = replace(asked, account=self._admitted(request))
            fault = self._site.faults.pick(asked)
            answer = self._object_or_fault(request, question, fault)
        except Refused as error:
            asked = replace(asked, account=asked.account or error.account or "")
            answer = s3.error_answer(error, request)
            if error.status == 429 and fault is None:
                answer = replace(answer, close=True)
            if fault and fault.retry_after_s is not None:
                headers = {**answer.headers, "Retry-After": str(fault.retry_after_s)}
                answer = replace(answer, headers=headers)
        answer = foreign.in_place_of(answer, fault, asked.operation)
        if request.method == "HEAD":
            answer = replace(answer, body=())
        self._note(request, asked, answer.status)
        self._deliver(answer, fault=fault, key=asked.key if answer.status in {200, 206} else "")
        return answer

    def _admitted(self, request: Request) -> str:
        """Return the account that signed; the connection belongs to it from now on."""
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

    def _object_or_fault(self, request: Request, question: s3.S3Question, fault: Fault | None) -> Answer:
        kind = fault.kind if fault else ""
        if fault and kind in REFUSALS:
            status, code, message = REFUSALS[kind]
            raise Refused(status, fault.code or code, message)
        if fault and kind == "changed_etag":
            self._site.bucket.change(question.key, same_content=fault.same_content)
        if kind == "xml_body":
            error = Refused(200, "InternalError", "We encountered an internal error. Please try again.")
            return s3.error_answer(error, request)
        return s3.respond(self._site.bucket, request, question, spoil=kind == "wrong_bytes")

    def _deliver(self, answer: Answer, *, fault: Fault | None = None, key: str = "") -> None:
        quota = self._quota
        pacer = quota.pacer(self._connection) if quota and key else None
        delivered = fault if fault and fault.kind in DELIVERY_FAULTS else None

        def sent(count_bytes: int) -> None:
            if quota and key:
                quota.sent(count_bytes)
                self._site.counters.sent(key, count_bytes)

        Delivery(self._site.clock, pacer, delivered, sent).send(self._connection, answer)

    def _belong_to(self, quota: AccountQuota | None) -> None:
        if self._quota is not None and self._quota is not quota:
            self._quota.leave(self._connection)
        self._quota = quota

    def _note(self, request: Request, asked: Asked, status: int) -> None:
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
