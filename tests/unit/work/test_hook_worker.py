"""What hooks are given, when, and what happens to what they do not accept."""

import json
import threading
import time
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from cdsed.config.event_hooks import EventHook, WebhookTarget
from cdsed.config.settings import Settings
from cdsed.errors import HookError
from cdsed.model.product_state import State
from cdsed.process.bounded_run import run_bounded
from cdsed.store import notices, outbox, snapshot
from cdsed.work import hook_worker
from cdsed.work.hook_payload import HookDelivery, mail_of
from cdsed.work.hook_targets import read_secret
from cdsed.work.hook_worker import HookThread, HookWorker, follow_alarms
from tests.support.daemon import wait_until
from tests.support.state import StateLab

DAY_S = 86_400.0


class HookLab:
    """One hook, whose calls are noted instead of made."""

    def __init__(self, lab: StateLab, patch: pytest.MonkeyPatch, **values: Any) -> None:
        self.lab = lab
        target = {} if "mail" in values else {"command": ["/bin/true"]}
        self.hook = EventHook.model_validate({"name": "x", "batch_s": 0.0, **target, **values})
        outbox.sync(lab.db, [self.hook])
        self.given: list[HookDelivery] = []
        self.refuses: set[str] = set()
        self.down = False
        patch.setattr(hook_worker, "give", self._give)
        self.start()

    def _give(self, _hook: EventHook, delivery: HookDelivery, *_rest: object) -> None:
        names = {str(event.get("safename")) for event in delivery.events}
        if self.down or names & self.refuses:
            raise HookError("the receiver answered 500")
        self.given.append(delivery)

    def start(self) -> None:
        """Begin as a new process does."""
        settings = Settings.model_validate({"state_dir": str(self.lab.root / "state")})
        self.thread = HookThread(self.lab.db, self.lab.clock, settings, self.hook, "ab" * 16, threading.Event())

    def publish(self, *names: str, group: str = "default") -> None:
        for name in names:
            self.lab.finish(self.lab.queued(name, group=group), State.DONE)

    def step_after(self, seconds: float) -> None:
        self.lab.clock.pass_s(seconds)
        while self.thread.step():
            pass

    def events(self) -> list[tuple[str, str]]:
        return [
            (str(event["event"]), str(event.get("safename") or event.get("subject")))
            for delivery in self.given
            for event in delivery.events
        ]

    def state(self) -> outbox.HookState:
        [state] = outbox.of_all(self.lab.db)
        return state

    def notices(self) -> list[str]:
        return [notice.name for notice in snapshot.report(self.lab.db, self.lab.clock, running=True).notices]


def test_an_error_in_cdsed_fails_one_hook_without_its_text_and_ends_no_other(
    lab: StateLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = HookLab(lab, monkeypatch)
    hooks.publish("A")

    def fail(*_: object) -> None:
        raise ValueError("https://chat.example/hidden-in-the-address")

    monkeypatch.setattr(hook_worker, "give", fail)
    hooks.step_after(10)
    assert "an error in cdsed itself, please report it: ValueError in fail of" in str(hooks.state().error)
    assert "hidden" not in str(hooks.state().error)
    assert hooks.state().waiting == 1


@pytest.mark.parametrize(
    "url", [f"https://{'a' * 70}.example/", "https://.example/", "https://a.example/x\n", "https://a.example/ x"]
)
def test_an_address_that_can_lead_nowhere_is_refused_when_the_settings_are_read(url: str) -> None:
    with pytest.raises(ValueError, match="should have"):
        WebhookTarget(url=url, secret_file=Path("/etc/cdsed/webhook.secret"))


def test_hooks_that_hang_keep_the_end_waiting_together_and_not_one_after_the_other(
    lab: StateLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = [
        EventHook.model_validate({"name": f"x{number}", "batch_s": 0.0, "command": ["/bin/true"]})
        for number in range(8)
    ]
    outbox.sync(lab.db, hooks)
    lab.finish(lab.queued("A"), State.DONE)
    hung, begun = threading.Event(), threading.Semaphore(0)
    monkeypatch.setattr(hook_worker, "_AT_THE_END_S", 0.1)
    monkeypatch.setattr(hook_worker, "give", lambda *_: (begun.release(), hung.wait(20)))
    settings = Settings.model_validate({"state_dir": str(lab.root / "state"), "hooks": hooks})
    with HookWorker(lab.db, lab.clock, settings, threading.Event()) as worker:
        for _ in hooks:
            assert begun.acquire(timeout=10)
        ends_s = time.monotonic()
    took_s = time.monotonic() - ends_s
    hung.set()
    for thread in worker._threads:
        thread.join(10)
    assert took_s < 1.0


def test_without_a_hook_nothing_is_kept(lab: StateLab) -> None:
    lab.finish(lab.queued("A"), State.DONE)
    assert lab.db.value("SELECT count(*) FROM hook_event") == 0


def test_only_what_is_published_in_its_groups_is_given_in_batches(
    lab: StateLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = HookLab(lab, monkeypatch, groups=["default"], batch_s=10.0, batch_max=3)
    lab.finish(lab.queued("failed"), State.FAILED)
    hooks.publish("other", group="other")
    hooks.publish("A", "B", "C", "D")
    hooks.step_after(0)
    assert [len(delivery.events) for delivery in hooks.given] == [3]
    hooks.step_after(9)
    assert len(hooks.given) == 1
    hooks.step_after(2)
    assert [name for _, name in hooks.events()] == ["A", "B", "C", "D"]
    assert hooks.given[0].events[0]["path"] == "/spool/x"
    assert hooks.given[0].id != hooks.given[1].id


def test_a_delivery_keeps_its_id_through_failures_and_restarts(lab: StateLab, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = HookLab(lab, monkeypatch)
    hooks.publish("A")
    hooks.step_after(1)
    monkeypatch.setattr(outbox, "delivered", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))  # killed after it
    hooks.publish("B")
    with pytest.raises(KeyboardInterrupt):
        hooks.step_after(1)
    monkeypatch.undo()
    monkeypatch.setattr(hook_worker, "give", hooks._give)
    hooks.down = True
    hooks.start()
    hooks.step_after(1)
    hooks.down = False
    hooks.step_after(5)
    first, second, again = hooks.given
    assert first.id != second.id == again.id
    assert second.events == again.events


def test_a_failing_hook_backs_off_is_shown_and_retried_by_a_person(
    lab: StateLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = HookLab(lab, monkeypatch)
    hooks.down = True
    hooks.publish("A")
    for seconds in (0, 5, 10, 10):
        hooks.step_after(seconds)
    assert hooks.state().failures == 3
    assert hooks.state().error == "the receiver answered 500"
    assert hooks.notices() == [notices.hook_error("x")]
    hooks.down = False
    outbox.request_retry(lab.db, "x")
    hooks.step_after(0)
    assert [name for _, name in hooks.events()] == ["A"]
    assert hooks.notices() == []


def test_an_event_that_is_always_refused_stops_no_other_and_is_given_up(
    lab: StateLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = HookLab(lab, monkeypatch, attempts_max=6)
    hooks.refuses = {"B"}
    hooks.publish("A", "B", "C")
    for _ in range(12):
        hooks.step_after(900)
    assert sorted(name for _, name in hooks.events()) == ["A", "C"]
    assert hooks.notices() == [notices.hook_given_up("x")]
    hooks.publish("D")
    hooks.step_after(1)
    hooks.refuses = set()
    assert outbox.request_retry(lab.db, "x") == 1
    hooks.step_after(61)
    assert sorted(name for _, name in hooks.events()) == ["A", "B", "C", "D"]
    assert hooks.notices() == []


def test_old_and_too_many_events_are_given_up(lab: StateLab, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = HookLab(lab, monkeypatch, pending_max=2, give_up_after_s=DAY_S)
    hooks.down = True
    hooks.publish("A", "B", "C", "D")
    hooks.step_after(0)
    assert (hooks.state().waiting, hooks.state().given_up) == (2, 2)
    hooks.step_after(2 * DAY_S)
    hooks.step_after(61)
    assert (hooks.state().waiting, hooks.state().given_up) == (0, 2)  # the oldest of those are forgotten


def _keys(lab: StateLab, account: str, *, has_keys: bool = True, days: float | None = None) -> None:
    """Change one account; follow the alarms."""
    expires_at = None if days is None else lab.clock.utc_s() + days * DAY_S
    with lab.db.write():
        lab.db.rows(
            "UPDATE account SET has_keys = :has_keys, key_expires_at = :at WHERE name = :account",
            has_keys=has_keys,
            at=expires_at,
            account=account,
        )
    follow_alarms(lab.db, lab.clock)


def test_an_alarm_is_given_when_it_lasts_and_its_end_when_that_lasts(
    lab: StateLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = HookLab(lab, monkeypatch, alarm_after_s=60.0)
    lab.accounts("a", "b")
    _keys(lab, "a", has_keys=False)
    hooks.step_after(50)
    _keys(lab, "a")
    hooks.step_after(100)
    assert hooks.events() == []
    _keys(lab, "a", has_keys=False)
    follow_alarms(lab.db, lab.clock)
    hooks.step_after(61)
    _keys(lab, "a")  # for a probe, and it fails
    hooks.step_after(50)
    _keys(lab, "a", has_keys=False)
    hooks.step_after(100)
    assert hooks.events() == [("person_needed", "a")]
    _keys(lab, "a")
    hooks.step_after(61)
    assert hooks.events() == [("person_needed", "a"), ("back_to_normal", "a")]
    assert lab.db.value("SELECT count(*) FROM hook_event") == 0


def test_of_a_key_people_hear_14_and_3_and_1_days_before_and_once_when_it_is_renewed(
    lab: StateLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = HookLab(lab, monkeypatch, alarm_after_s=60.0)
    lab.accounts("a")
    said = []
    for days in (15.0, 13.9, 3.1, 2.9, 2.0, 0.9, 0.5):
        _keys(lab, "a", days=days)
        _keys(lab, "a", days=days)
        hooks.step_after(61)
        said.append([str(event["text"]) for delivery in hooks.given for event in delivery.events])
        hooks.given.clear()
    assert said == [
        [],
        ["the S3 key of account a expires in 14 d"],
        [],
        ["the S3 key of account a expires in 3 d"],
        [],
        ["the S3 key of account a expires in 22 h"],
        [],
    ]
    _keys(lab, "a", days=365.0)
    hooks.step_after(61)
    assert hooks.events() == [("back_to_normal", "a")]
    assert lab.db.value("SELECT count(*) FROM hook_event") == 0


def test_an_alarm_that_grows_is_one_event_until_it_is_given_and_its_end_is_never_lost(
    lab: StateLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = HookLab(lab, monkeypatch, alarm_after_s=60.0)
    lab.accounts("a")
    _keys(lab, "a", days=13)
    hooks.step_after(30)
    _keys(lab, "a", days=2)
    hooks.step_after(31)
    [event] = hooks.given[0].events
    assert event["text"] == "the S3 key of account a expires in 2 d"
    _keys(lab, "a", days=0.5)  # renewed before the hook hears of this step
    hooks.step_after(30)
    _keys(lab, "a", days=365)
    hooks.step_after(61)
    assert hooks.events() == [("person_needed", "a"), ("back_to_normal", "a")]
    _keys(lab, "a", days=2)
    hooks.step_after(61)
    _keys(lab, "a", days=10)  # less urgent, but still there
    hooks.step_after(61)
    assert hooks.events()[2:] == [("person_needed", "a")]


def test_ten_thousand_products_are_one_mail_and_the_next_one_waits(
    lab: StateLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = {"to": ["lab@example.org"], "from_address": "cdsed@example.org", "every_s": 600.0}
    hooks = HookLab(lab, monkeypatch, mail=mail)
    with lab.db.write():
        for number in range(9_999):
            facts = json.dumps({"safename": f"N{number}", "path": f"/spool/N{number}"})
            lab.db.rows(
                "INSERT INTO hook_event (hook, kind, at, facts) VALUES ('x', 'product_published', 0, :facts)",
                facts=facts,
            )
    hooks.publish("last")
    hooks.step_after(1)
    hooks.publish("later")
    hooks.step_after(300)
    hooks.start()
    hooks.step_after(200)
    assert len(hooks.given) == 1
    hooks.step_after(101)
    assert len(hooks.given) == 2
    assert hooks.hook.mail is not None
    message = message_from_bytes(mail_of(hooks.hook.mail, hooks.given[0]))
    assert message["Subject"] == "cdsed: 10000 products published"
    assert "and 9950 more" in str(message.get_payload())


def test_a_program_has_a_limit_and_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    end = run_bounded(["/bin/sh", "-c", "env; cat; yes | head -c 5000000; exit 3"], b"given", 30, {"CDSED_HOOK": "x"})
    assert end.code == 3
    assert len(end.said) <= 2000
    end = run_bounded(["/bin/sh", "-c", "env; cat"], b"given", 30, {"CDSED_HOOK": "x"})
    assert "given" in end.said
    assert "CDSED_HOOK=x" in end.said
    assert "hidden" not in end.said
    end = run_bounded(["/bin/sh", "-c", "sleep 1000 & echo $!; wait"], b"x" * 1_000_000, 0.3, {})
    assert end.code is None
    left = Path("/proc", end.said, "stat")
    wait_until("its end", lambda: not left.exists() or left.read_text("ascii").split()[2] == "Z", timeout_s=10)


def test_a_secret_that_others_may_read_or_that_is_short_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("long enough to be a secret\n", encoding="utf-8")
    secret.chmod(0o644)
    with pytest.raises(HookError, match="chmod 600"):
        read_secret(secret, {})
    assert read_secret(secret, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == b"long enough to be a secret"
    secret.chmod(0o600)
    assert read_secret(secret, {}) == b"long enough to be a secret"
    secret.write_text("short", encoding="utf-8")
    with pytest.raises(HookError, match="16 characters"):
        read_secret(secret, {})
