"""A session at work, at a sandbox: events of other sessions do not end it, and it does not spin without work."""

import threading
from dataclasses import replace

import pytest

from cdsed.config.secrets import Secret
from cdsed.credentials.key_ledger import LEDGER_NAME, TemporaryKey, read_ledger, write_ledger
from cdsed.model.product_state import State
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import leases, products, refusals
from cdsed.store.move import Move
from cdsed.transfer import product as transfer_product
from cdsed.transfer.fetch import fetch_piece
from cdsed.work.context import WorkSignal
from cdsed.work.finish import finish_next
from cdsed.work.grant_turns import GrantTurns
from cdsed.work.session import SessionThread
from tests.support.daemon import wait_until
from tests.support.state import SetClock


def test_a_session_plans_fetches_and_gives_itself_back(worker_lab):
    number = worker_lab.wanted()
    worker_lab.start()
    wait_until("it is in the spool", lambda: finish_next(worker_lab.context) and worker_lab.state(number) is State.DONE)
    wait_until("the session is free", lambda: not worker_lab.db.value("SELECT count(fence) FROM session"))


def test_a_product_moved_on_by_another_session_does_not_end_this_one(worker_lab):
    number = worker_lab.wanted()
    worker_lab.sandbox.fault(kind="trickle", operation="get", times=1, after_bytes=1_500_000, bytes_per_s=500_000)
    worker_lab.start()
    wait_until("it is being fetched", lambda: worker_lab.db.value("SELECT count(fence) FROM piece"))
    products.move(worker_lab.db, worker_lab.clock, products.get(worker_lab.db, number), Move(State.READY))
    wait_until(
        "it is fetched all the same", lambda: finish_next(worker_lab.context) and worker_lab.state(number) is State.DONE
    )
    assert worker_lab.alive()
    assert products.get(worker_lab.db, number).attempts == 0


def test_an_unexpected_error_charges_the_product_and_keeps_what_arrived_before_it(worker_lab, monkeypatch):
    number = worker_lab.wanted("S1_OCN")
    calls = []

    def fetch_twice(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise ZeroDivisionError
        return fetch_piece(*arguments)

    monkeypatch.setattr(transfer_product, "fetch_piece", fetch_twice)
    worker_lab.start()
    wait_until("it is charged", lambda: products.get(worker_lab.db, number).attempts)
    assert worker_lab.alive()
    assert worker_lab.state(number) is State.RETRY_WAIT
    assert worker_lab.db.value("SELECT count(*) FROM piece WHERE size_bytes = done_bytes AND size_bytes > 0") == 2


class _OneWait(WorkSignal):
    """Notes for how long a thread waits for work, and lets it leave instead."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__()
        self._stop = stop
        self.seconds = 0.0

    def idle(self, generation: int, seconds: float) -> None:
        self.seconds = seconds
        self._stop.set()
        super().idle(generation, 0.0)


def test_a_thread_with_work_waits_no_longer_than_the_first_session_rests(worker_lab):
    worker_lab.wanted()
    clock = SetClock()
    context, broker = worker_lab.context, worker_lab.broker
    store = replace(context.store, clock=clock)
    for _ in range(broker.accounts["a"].sessions):
        grant = replace(broker, store=store).grant()
        leases.release(worker_lab.db, clock, grant.lease, cooldown_s=0.25)
        grant.lock.release()
    signal = _OneWait(context.stop)
    transfer = replace(context.transfer, broker=replace(broker, store=store))
    context = replace(context, store=store, transfer=transfer, work_signal=signal)
    SessionThread(context, GrantTurns(context)).run()
    assert 0.25 <= signal.seconds < 0.3


def test_work_of_other_accounts_does_not_make_a_session_spin(worker_lab):
    number = worker_lab.wanted()
    refusals.add_denial(worker_lab.db, worker_lab.clock, products.get(worker_lab.db, number), "a")
    worker_lab.start()
    wait_until("it has looked", lambda: worker_lab.db.value("SELECT value FROM fence") > 1)
    before = worker_lab.db.value("SELECT value FROM fence")
    worker_lab.context.stop.wait(1.5)  # what is measured is how often it looks in this time
    assert worker_lab.db.value("SELECT value FROM fence") - before <= 3


def test_a_key_that_expires_while_the_machine_sleeps_is_replaced_and_not_reported(worker_lab, monkeypatch):
    number = worker_lab.wanted()
    ledger = worker_lab.context.settings.state_dir / LEDGER_NAME
    account = worker_lab.broker.accounts["a"]
    key = TemporaryKey("a", worker_lab.clock.utc_s() + 3600, account.s3_keys, works=True)
    worker_lab.broker.accounts["a"] = replace(account, s3_keys=None, password=Secret("secret"))
    write_ledger(ledger, [key])

    def fetch_after_sleep(*arguments):
        write_ledger(ledger, [replace(key, expires_at=0.0)])
        worker_lab.sandbox.fault(kind="key_expired")
        return fetch_piece(*arguments)

    with monkeypatch.context() as sleeping:
        sleeping.setattr(transfer_product, "fetch_piece", fetch_after_sleep)
        worker_lab.start()
        wait_until("the session is free", lambda: key not in read_ledger(ledger) and _is_free(worker_lab))
    assert worker_lab.db.value("SELECT count(*) FROM breaker") == 0
    worker_lab.sandbox.clear_faults()
    write_ledger(ledger, [key])
    wait_until("it is fetched", lambda: finish_next(worker_lab.context) and worker_lab.state(number) is State.DONE)
    assert products.get(worker_lab.db, number).attempts == 0


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"])
@pytest.mark.parametrize("operation", ["list", "get"])
def test_a_key_that_is_refused_for_one_product_only_is_not_a_bad_key(worker_lab, code, operation):
    number = worker_lab.wanted()
    key = products.get(worker_lab.db, number).s3_path.removeprefix("/eodata/")
    worker_lab.sandbox.fault(kind="forbidden", code=code, key=f"{key}*", operation=operation)
    worker_lab.start()
    wait_until(
        "it has failed",
        lambda: (
            worker_lab.db.value("SELECT max(transient_failures) FROM product") == 1
            or worker_lab.db.value("SELECT max(transient_failures) FROM piece") == 1
        ),
    )
    assert worker_lab.db.value("SELECT count(*) FROM breaker WHERE name LIKE 'account:%'") == 0


_AT_THE_LIST = [
    {"kind": "internal_error"},
    {"kind": "page"},
    {"kind": "redirect"},
    {"kind": "foreign_answer"},
    {"kind": "truncated_body"},
    {"kind": "key_revoked"},
]
_AT_AN_OBJECT = [{"kind": "internal_error"}, {"kind": "page", "etag": "x"}, {"kind": "empty_body"}, {"kind": "reset"}]


@pytest.mark.parametrize("one_only", [True, False])
@pytest.mark.parametrize(
    "fault",
    [{"operation": "list", **each} for each in _AT_THE_LIST] + [{"operation": "get", **each} for each in _AT_AN_OBJECT],
    ids=lambda fault: f"{fault['operation']}-{fault['kind']}",
)
def test_the_sixth_failure_is_charged_only_if_it_is_one_products(worker_lab, fault, one_only):
    """The five before it are entered in the state, because they take a minute."""
    sandbox, db = worker_lab.sandbox, worker_lab.db
    sandbox.add_products(*({"safename": name, "size_bytes": 100_000} for name in realistic_safenames("S5P", 2, seed=9)))
    number = worker_lab.wanted()
    key = products.get(db, number).s3_path.removeprefix("/eodata/")
    db.rows("UPDATE product SET transient_failures = 5")
    sandbox.fault(**fault, **({"key": f"{key}*"} if one_only else {}))
    worker_lab.start()
    if fault["operation"] == "get":
        wait_until("it has failed once", lambda: db.value("SELECT max(transient_failures) FROM piece"))
        db.rows("UPDATE piece SET transient_failures = 5, due_s = 0")
        worker_lab.context.work_signal.notify()
    wait_until("it is charged, or S3", lambda: products.get(db, number).attempts or _waits_again(db, fault))
    assert products.get(db, number).attempts == int(one_only)
    assert bool(db.value("SELECT count(*) FROM breaker")) is not one_only


def _waits_again(db, fault):
    """Tell whether the failure was decided, and not charged."""
    if fault["kind"] == "key_revoked":
        return db.value("SELECT count(*) FROM breaker WHERE name = 'account:a'")
    if fault["operation"] == "get":
        return db.value("SELECT count(*) FROM piece WHERE fence IS NULL AND due_s > 0 AND transient_failures = 5")
    return db.value("SELECT count(*) FROM product WHERE state = 'retry_wait'")


def test_a_product_planned_in_another_bucket_is_not_asked_for_there(worker_lab):
    number = worker_lab.wanted()
    worker_lab.db.rows("UPDATE product SET s3_path = replace(s3_path, '/eodata/', '/sentinel-s1-l1c/')")
    before = len(worker_lab.sandbox.requests())
    worker_lab.start()
    wait_until("the catalogue is asked", lambda: worker_lab.state(number) is State.QUEUED)
    assert products.get(worker_lab.db, number).s3_path is None
    assert len(worker_lab.sandbox.requests()) == before


def _is_free(worker_lab):
    return not worker_lab.db.value("SELECT count(fence) FROM session")
