"""`cdsed retry` starts products again: with the daemon or without it, at once, and their listings report again."""

import json
from pathlib import Path
from typing import Any

import pytest

from cdsed.model.listing import ListingHead
from cdsed.model.product_state import SUCCEEDED, State
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import listings, products, refusals, snapshot
from cdsed.store.move import Move
from cdsed.work.requeue import RETRYABLE, requeue, requeue_all
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_ENDS = [State.FAILED, State.UNAVAILABLE, State.CORRUPT, State.CANCELLED, State.DONE, State.ALREADY_PRESENT]


def _finished(lab: Any, state: State) -> int:
    number = lab.queued(f"X_{state}")
    lab.finish(number, state)
    return int(number)


def test_only_what_was_finished_badly_or_waits_is_started_again(lab: Any) -> None:
    numbers = {state: _finished(lab, state) for state in _ENDS}
    chosen = [products.get(lab.db, number) for number in numbers.values()]
    done = requeue(lab.db, lab.clock, chosen)
    assert {each.was for each in done if each.started} == RETRYABLE - {State.RETRY_WAIT}
    for state, number in numbers.items():
        assert lab.state(number) is (state if state in SUCCEEDED else State.QUEUED)


def test_a_product_that_waits_is_due_at_once_with_all_its_attempts(lab: Any) -> None:
    number = lab.ready("A")
    with lab.db.write():
        product = products.claim_ready(lab.db, lab.clock, number, lab.process)
    due_s = lab.clock.boot_s() + 9999
    move = Move(State.RETRY_WAIT, cause="x", code="Changed", due_s=due_s, attempts=1, transient_failures=2)
    products.move(lab.db, lab.clock, product, move)
    refusals.add_denial(lab.db, lab.clock, product, "a")
    assert snapshot.next_try_in_s(lab.db, lab.clock, product) == 9999
    requeue(lab.db, lab.clock, [products.get(lab.db, number)])
    after = products.get(lab.db, number)
    assert (after.state, after.attempts, after.transient_failures) == (State.READY, 0, 0)
    assert after.s3_path == "/eodata/x/A"
    assert lab.db.value("SELECT count(*) FROM access_denial") == 0
    assert snapshot.history(lab.db, after)[-1].cause == "started again"


def test_an_unavailable_product_is_resolved_again_unless_a_listing_has_its_path(lab: Any) -> None:
    number = _finished(lab, State.FAILED)
    requeue(lab.db, lab.clock, [products.get(lab.db, number)])
    assert products.get(lab.db, number).s3_path is None


def test_a_thousand_products_of_one_listing_are_started_again_in_batches(lab: Any) -> None:
    other = _finished(lab, State.FAILED)
    head = ListingHead(0, "l.txt", "0", "default", 0, None, 0.0, None)
    listing = listings.begin(lab.db, lab.clock, head, "l.txt").head.id
    with lab.db.write():
        for number in range(1200):
            listings.want(lab.db, listing, lab.queued(f"P{number}"), number)
        for product in products.claim_resolving(
            lab.db, lab.clock, lab.process, (each.id for each in products.queued(lab.db, 1100))
        ):
            products.move(lab.db, lab.clock, product, Move(State.UNAVAILABLE, cause="gone"))
    done = list(requeue_all(lab.db, lab.clock, frozenset({State.UNAVAILABLE, State.FAILED}), listing))
    assert len(done) == 1100
    assert lab.state(other) is State.FAILED
    assert list(requeue_all(lab.db, lab.clock, frozenset({State.UNAVAILABLE}), None)) == []


def _failing(tmp_path: Path, sandbox: SandboxProcess, names: list[str]) -> Installation:
    """Bring a listing to its report with the first product missing."""
    lab = Installation(tmp_path, sandbox, retry={"attempts": 1}, transfer={"processes": 1})
    sandbox.add_products(*({"safename": name, "size_bytes": 200_000} for name in names))
    sandbox.fault(kind="not_found", operation="get", key=f"*{names[0]}/*.nc")
    lab.drop("two.txt", names)
    lab.run_once(1)
    assert lab.states("two.txt")[names[0]] == "unavailable"
    sandbox.clear_faults()
    return lab


def test_a_listing_that_was_reported_gets_a_new_report(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 2, seed=77)
    with SandboxProcess() as sandbox:
        lab = _failing(tmp_path, sandbox, names)
        reported = lab.command("retry", "--listing", "two.txt", "--unavailable")
        assert reported.returncode == 0
        assert "1 product started again: 1 unavailable" in reported.stdout
        assert names[0] in reported.stdout
        assert lab.status("two.txt")["listing"]["state"] == "open"
        lab.run_once()
        assert lab.states("two.txt") == dict.fromkeys(names, "done")
        assert lab.differences(names) == []


def test_it_works_while_the_daemon_runs_and_fails_again_with_1(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 2, seed=79)
    with SandboxProcess() as sandbox:
        lab = _failing(tmp_path, sandbox, names)
        with DaemonProcess(lab) as daemon:
            daemon.until_at_work(3)
            reported = lab.command("retry", names[0], "--json")
            assert reported.returncode == 0, reported.stderr
            assert json.loads(reported.stdout) == {
                "schema": 2,
                "dry_run": False,
                "started": 1,
                "products": [{"safename": names[0], "was": "unavailable", "now": "queued", "started": True}],
            }
            wait_until("it is done", lambda: lab.states("two.txt")[names[0]] == "done", daemon=daemon)
            again = lab.command("retry", names[0])
            assert again.returncode == 1
            assert "nothing to start again" in again.stdout
        assert lab.differences(names) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 64, "say what to start again"),
        (("--all",), 0, "nothing to start again"),
        (("X.SAFE", "--all"), 64, "not both"),
        (("--listing", "unknown.txt"), 64, "unknown.txt"),
        (("S1A_never_asked_for",), 64, "was ever asked for"),
    ],
)
def test_a_command_line_that_names_nothing_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str, quiet_lab: Installation
) -> None:
    reported = quiet_lab.command("retry", *arguments)
    assert reported.returncode == code
    assert words in reported.stdout + reported.stderr


@pytest.fixture(scope="module")
def quiet_lab(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from cdsed.store.database import open_state

    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path_factory.mktemp("quiet") / "lab", sandbox)
        open_state(lab.state).close()
        yield lab


def test_without_a_state_nothing_was_ever_asked_for(tmp_path: Path) -> None:
    with SandboxProcess() as sandbox:
        reported = Installation(tmp_path, sandbox).command("retry", "--all")
    assert reported.returncode == 64
    assert "nothing was ever asked for" in reported.stderr


def test_status_says_which_attempt_it_was_and_when_the_next_is(tmp_path: Path) -> None:
    [name] = realistic_safenames("S1_OCN", 1, seed=81)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox, retry={"attempts": 6, "first_delay_s": 300, "longest_delay_s": 300})
        sandbox.add_products({"safename": name, "size_bytes": 200_000})
        sandbox.fault(kind="not_found", operation="get", key="*.nc")
        lab.drop("one.txt", [name])
        with DaemonProcess(lab) as daemon:
            wait_until("it waits", lambda: lab.status()["products"].get("retry_wait"), daemon=daemon)
            screen = " ".join(lab.command("status").stdout.split())
            assert "(attempt 1 of 6); next in" in screen
            assert "next try in" in " ".join(lab.command("status", name).stdout.split())
            assert lab.status(name)["product"]["next_try_in_s"] > 100
            sandbox.clear_faults()
            assert lab.command("retry", "--retry-wait").returncode == 0
            wait_until("the report", lambda: lab.report("one.txt"), daemon=daemon)
        assert lab.states("one.txt") == {name: "done"}
