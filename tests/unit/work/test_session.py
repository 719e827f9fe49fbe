"""A session at work, at a sandbox: what befalls others does not end it, and it does not spin when it may do nothing."""

import threading

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.accounts import Account, S3Keys
from cdsed.config.secrets import Secret
from cdsed.config.settings import Settings
from cdsed.config.temporary_keys import LEDGER_NAME, Keyring
from cdsed.local.presence import Presence
from cdsed.model.product import State
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import products
from cdsed.store.products import Found, Move
from cdsed.transfer.guard import Guard
from cdsed.work.bench import Bench, News, endpoint
from cdsed.work.finish import finish_next
from cdsed.work.outcome import Outcome
from cdsed.work.session import SessionThread
from tests.support.daemon import wait_until
from tests.support.sandbox import SandboxProcess


def account_of(sandbox):
    """Return the sandbox's account as the accounts file would give it."""
    known = sandbox.accounts[0]
    return Account(
        name="a",
        group="default",
        login="a@example.org",
        password=None,
        s3_keys=S3Keys(Secret(known.access_key), Secret(known.secret_key)),
        s3_key_expires=None,
        sessions=4,
        bandwidth_bytes_per_s=None,
        requests_per_minute=2000,
        volume_bytes=10**13,
    )


@pytest.fixture
def bench(lab, tmp_path):
    with SandboxProcess() as sandbox:
        lab.clock = SYSTEM_CLOCK
        lab.accounts("a")
        (tmp_path / "spool").mkdir()
        settings = Settings.model_validate(
            {
                "state_dir": str(tmp_path / "state"),
                "spools": [str(tmp_path / "spool")],
                "services": {"s3_url": sandbox.url},
                "disk": {"free_bytes_min": 0},
                "transfer": {"session_rest_s": 0.0},
            }
        )
        settings.sessions_dir.mkdir()
        lab.sandbox = sandbox
        lab.bench = Bench(
            db=lab.db,
            clock=SYSTEM_CLOCK,
            settings=settings,
            accounts={"a": account_of(sandbox)},
            keyring=Keyring(settings.state_dir / LEDGER_NAME, SYSTEM_CLOCK),
            endpoint=endpoint(settings),
            presence=Presence(settings.spools, []),
            guard=Guard(0, 60),
            outcome=Outcome(lab.db, SYSTEM_CLOCK, settings.retry),
            process=lab.process,
            stop=threading.Event(),
            news=News(),
        )
        thread = threading.Thread(target=SessionThread(lab.bench).run)
        lab.start = thread.start
        lab.alive = thread.is_alive
        yield lab
        lab.bench.stop.set()
        lab.bench.guard.cut_all()
        lab.bench.news.tell()
        if thread.ident:
            thread.join(10)


def wanted(lab):
    [name] = realistic_safenames("S5P", 1, seed=3)
    path = lab.sandbox.add_products({"safename": name, "size_bytes": 2_000_000})[name]
    number = lab.queued(name)
    lab.db.rows("UPDATE product SET s3_path = :path, path_source = 'listing'", path=path)
    [(product, _)] = products.claim_resolving(lab.db, lab.clock, lab.process, 1)
    products.resolved(lab.db, lab.clock, product, Found(path, product.path_source))
    return number


def test_a_session_plans_fetches_and_gives_itself_back(bench):
    number = wanted(bench)
    bench.start()
    wait_until("it is in the spool", lambda: finish_next(bench.bench) and bench.state(number) is State.DONE)
    wait_until("the session is free", lambda: not bench.db.value("SELECT count(fence) FROM session"))


def test_a_product_moved_on_by_another_session_does_not_end_this_one(bench):
    number = wanted(bench)
    bench.sandbox.fault(kind="trickle", operation="get", times=1, after_bytes=1_500_000, bytes_per_s=500_000)
    bench.start()
    wait_until("it is being fetched", lambda: bench.db.value("SELECT count(fence) FROM piece"))
    products.move(bench.db, bench.clock, products.get(bench.db, number), Move(State.READY))
    wait_until("it is fetched all the same", lambda: finish_next(bench.bench) and bench.state(number) is State.DONE)
    assert bench.alive()
    assert products.get(bench.db, number).attempts == 0


def test_work_that_is_not_for_its_account_does_not_make_a_session_spin(bench):
    number = wanted(bench)
    products.deny(bench.db, bench.clock, products.get(bench.db, number), "a")
    bench.start()
    wait_until("it has looked", lambda: bench.db.value("SELECT value FROM fence") > 1)
    before = bench.db.value("SELECT value FROM fence")
    bench.bench.stop.wait(1.5)  # what is measured is how often it looks in this time
    assert bench.db.value("SELECT value FROM fence") - before <= 3
