"""What the head writes of machines: little, only what has changed, and what a user has to know."""

from collections.abc import Mapping

from cdsed.engine.known_machines import HeadNews
from cdsed.engine.machine_record import MachineRecord
from cdsed.model.machine_status import GrantLoss, MachineNow, MachineStatus
from cdsed.store import machines, notices
from tests.support.state import StateLab

_IDLE = MachineNow("node7", workers=1, idle=4, worker_sees_s=0.1, daemon_sees_s=3.0)
_BUSY = MachineNow("node7", workers=1, idle=1, at_work=3, worker_sees_s=0.1, daemon_sees_s=3.0)


def _news(now: MachineNow, received: int = 0, lost: Mapping[tuple[str, GrantLoss], int] | None = None) -> HeadNews:
    return HeadNews(None, (now,), {now.name: received}, lost or {})


def _node7(lab: StateLab) -> MachineStatus:
    [found] = machines.of_all(lab.db, lab.clock, running=True)
    return found


def _commits(lab: StateLab) -> int:
    return int(lab.db.value("PRAGMA data_version") or 0) + int(lab.db.value("SELECT total_changes()") or 0)


def test_the_rate_is_one_of_the_last_minute_and_the_sum_stays(lab: StateLab) -> None:
    record = MachineRecord(lab.db, lab.clock)
    for second in range(0, 120, 5):
        record.take(_news(_BUSY, received=second * 1_000_000))
        lab.clock.pass_s(5)
    found = _node7(lab)
    assert (found.now, found.received_bytes) == (_BUSY, 115_000_000)
    assert 990_000 < found.rate_bytes_per_s < 1_010_000
    for _ in range(14):
        record.take(_news(_IDLE, received=115_000_000))
        lab.clock.pass_s(5)
    assert _node7(lab).rate_bytes_per_s == 0


def test_it_writes_every_few_seconds_at_most_and_nothing_while_nothing_changes(lab: StateLab) -> None:
    record = MachineRecord(lab.db, lab.clock)
    record.take(_news(_BUSY))
    before = _commits(lab)
    for second in range(4):
        lab.clock.pass_s(1)
        record.take(_news(_BUSY, received=second * 1000))
    assert _commits(lab) == before
    lab.clock.pass_s(1)
    record.take(_news(_BUSY, received=4000))
    assert _commits(lab) > before
    for _ in range(20):
        lab.clock.pass_s(5)
        record.take(_news(_BUSY, received=4000))
    before = _commits(lab)
    for _ in range(20):
        lab.clock.pass_s(5)
        record.take(_news(_BUSY, received=4000))
    assert _commits(lab) == before


def test_losses_are_added_up_by_reason_over_restarts(lab: StateLab) -> None:
    for lost in (2, 1):
        record = MachineRecord(lab.db, lab.clock)
        for count in range(1, lost + 1):
            lab.clock.pass_s(5)
            record.take(_news(_BUSY, lost={("node7", GrantLoss.HOLDER_DIED): count}))
    assert [(each.why, each.grants) for each in _node7(lab).lost] == [(GrantLoss.HOLDER_DIED, 3)]


def test_a_drain_is_done_when_nothing_is_at_work_there_and_stays_over_restarts(lab: StateLab) -> None:
    record = MachineRecord(lab.db, lab.clock)
    assert record.take(_news(_BUSY)) == frozenset()
    assert machines.drain(lab.db, lab.clock, "node7")
    assert record.take(_news(_BUSY)) == {"node7"}
    assert _node7(lab).drained_at is None
    record = MachineRecord(lab.db, lab.clock)
    assert record.take(_news(_IDLE)) == {"node7"}
    assert _node7(lab).drained_at is None, "a connection may have been given before the drain was seen"
    assert record.take(_news(_IDLE)) == {"node7"}
    assert _node7(lab).drained_at is not None
    assert not _node7(lab).usable
    assert not machines.drain(lab.db, lab.clock, "node7")
    assert machines.resume(lab.db, "node7")
    assert record.take(_news(_IDLE)) == frozenset()
    assert _node7(lab).usable


def test_a_machine_without_workers_is_forgotten_after_a_day_unless_it_is_drained(lab: StateLab) -> None:
    record = MachineRecord(lab.db, lab.clock)
    record.take(HeadNews(None, (_IDLE, MachineNow("node8", workers=1)), {}, {}))
    machines.drain(lab.db, lab.clock, "node8")
    record.end(HeadNews(None, (), {}, {}))
    assert [each.now.workers for each in machines.of_all(lab.db, lab.clock, running=True)] == [0, 0]
    lab.clock.pass_s(90_000)
    MachineRecord(lab.db, lab.clock).take(HeadNews(None, (MachineNow("node9", workers=1),), {}, {}))
    assert machines.names(lab.db) == ["node8", "node9"]


def test_a_machine_that_was_idle_for_days_was_heard_until_its_workers_went(lab: StateLab) -> None:
    record = MachineRecord(lab.db, lab.clock)
    record.take(_news(_IDLE))
    lab.clock.pass_s(300_000)
    record.take(_news(_IDLE))
    lab.clock.pass_s(5)
    record.take(HeadNews(None, (), {}, {}))
    assert _node7(lab).heard_at == lab.clock.utc_s()


def test_without_dask_no_machine_is_shown_but_a_drain_is_remembered(lab: StateLab) -> None:
    MachineRecord(lab.db, lab.clock).take(HeadNews(None, (_IDLE, MachineNow("node8", workers=1)), {}, {}))
    machines.drain(lab.db, lab.clock, "node8")
    machines.begin(lab.db, used=False)
    assert machines.of_all(lab.db, lab.clock, running=True) == ()
    machines.begin(lab.db, used=True)
    assert MachineRecord(lab.db, lab.clock).take(_news(MachineNow("node8", workers=1))) == {"node8"}
    assert machines.names(lab.db) == ["node8"]


def test_the_status_says_why_no_machine_gets_a_connection(lab: StateLab) -> None:
    record = MachineRecord(lab.db, lab.clock)
    refused = MachineNow("node8", workers=1, refused="node8 does not see /data/spool")
    record.take(HeadNews(None, (_IDLE, refused), {}, {}))
    assert machines.why_unusable(machines.of_all(lab.db, lab.clock, running=True)) is None
    machines.drain(lab.db, lab.clock, "node7")
    assert machines.why_unusable(machines.of_all(lab.db, lab.clock, running=True)) == (
        "no machine gets a connection: node7 is drained until `cdsed resume machine node7`; "
        "node8 does not see /data/spool"
    )
    record.take(HeadNews("no worker of Dask runs a pilot", (), {}, {}))
    [notice] = notices.active(lab.db, lab.clock, running=True)
    assert notice.text == "no worker of Dask runs a pilot"


def test_who_reads_that_a_machine_is_drained_reads_that_nothing_is_at_work_there(lab: StateLab) -> None:
    record = MachineRecord(lab.db, lab.clock)
    record.take(_news(_BUSY))
    machines.drain(lab.db, lab.clock, "node7")
    record.take(_news(_BUSY))
    record.take(_news(_IDLE))
    assert _node7(lab).drained_at is not None
    assert _node7(lab).now.at_work == 0
