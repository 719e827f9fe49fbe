"""Kill a command, a start, a hook or a standing query at any system call: nothing is done in part, lost or doubled."""

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.event_hooks import EventHook
from cdsed.config.load import load_settings
from cdsed.model.listing import Counts, ListingHead, ProductRequest
from cdsed.model.product_state import State
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import drains, listings, outbox, pauses, products, standing, window_pauses
from cdsed.store.database import open_state
from tests.support.daemon import Installation
from tests.support.injection import Point, needs_strace
from tests.support.sandbox import SandboxProcess
from tests.support.state import SetClock, StateLab
from tests.support.step_points import Steps
from tests.support.steps import FOUND

pytestmark = [needs_strace, pytest.mark.timeout(300)]

_QUEUED = realistic_safenames("S5P", 2, seed=5)
[_PUBLISHED] = realistic_safenames("S1_GRD", 1, seed=5)
_COMMANDS = [
    "pause listing week.txt --for 2h",
    "resume account *",
    "drain",
    "priority week.txt =7",
    "cancel week.txt --yes",
    "refetch S1* --yes",
]
_MORE_COMMANDS = [
    *_COMMANDS,
    "pause",
    "pause disk {spool}",
    "resume listing month.txt",
    "resume account sandbox-2",
    "retry --state cancelled",
]
_NOW = [{"days": "mon-sat"}, {"to": "23:59"}]  # windows of all week are refused
_EVENTS = {"product_published", "test"}
_HOOK = """#!/bin/sh
cat >> {log}
echo >> {log}
"""


class _Absent(SandboxProcess):
    """A sandbox that is not started: no step asks it."""

    def __init__(self) -> None:
        super().__init__(2)
        self.url = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steps]:
    """Give a stopped installation with pauses, queued, published and cancelled products, and events for a hook."""
    root = tmp_path_factory.mktemp("steps") / "lab"
    sandbox = _Absent()
    program = root.parent / "hook.sh"
    program.write_text(_HOOK.format(log=root / "hooked.log"), encoding="utf-8")
    program.chmod(0o755)
    lab = Installation(
        *(root, sandbox),
        hooks=[{"name": "log", "command": [str(program)], "batch_s": 0, "batch_max": 1}],
        queries=[{"name": "s2", "search": {"collection": "SENTINEL-2"}, "every_s": 3600}],
        limits={"machine": [{"bytes_per_s": 10**6}], "accounts": {"sandbox-1": [{"bytes_per_s": 10**5}]}},
        pauses={"groups": {"default": _NOW}, "listings": {"week*": _NOW}},
    )
    _fill(lab)
    with Steps(lab) as found:
        yield found


def _fill(lab: Installation) -> None:
    (lab.inbox / ".accepted").mkdir(mode=0o700)
    place = lab.spool / _PUBLISHED
    place.mkdir()
    with closing(open_state(lab.state)) as db:
        state = StateLab(db, SYSTEM_CLOCK, lab.state)  # type: ignore[arg-type]
        state.accounts("sandbox-1", "sandbox-2")
        outbox.sync(db, [EventHook.model_validate({"name": "log", "command": ["/bin/true"]})])
        published = state.queued(_PUBLISHED)
        state.finish(published, State.DONE)
        db.rows("UPDATE product SET path = :path", path=str(place))
        cancelled = state.queued(realistic_safenames("S3", 1, seed=5)[0])
        state.finish(cancelled, State.CANCELLED)
        queued = [products.add(db, SYSTEM_CLOCK, ProductRequest(name, "default", 0, None)) for name in _QUEUED]
        _listed(lab, state, "week.txt", [*queued, cancelled])
        _listed(lab, state, "month.txt", [queued[0], published])
        outbox.add_test(db, SYSTEM_CLOCK, "log")
        pauses.add(db, SYSTEM_CLOCK, "listing", "2", None)
        window_pauses.replace(db, SYSTEM_CLOCK, {("account", "sandbox-2"): None})
        for query in load_settings(lab.config, os.environ).queries:
            standing.begin_as_configured(db, SetClock(), query)
        db.rows("UPDATE standing_query SET mark_at = 0, mark_assumed = 0")
        pauses.add(db, SYSTEM_CLOCK, "account", "sandbox-1", None)
        drains.add(db, SYSTEM_CLOCK, "sandbox-1")
        db.rows("DELETE FROM process")


def _listed(lab: Installation, state: StateLab, name: str, numbers: Sequence[int]) -> None:
    path = lab.inbox / ".accepted" / name
    path.write_text("".join(f"{number}\n" for number in numbers), encoding="utf-8")
    head = ListingHead(0, name, name, "default", 0, None, SYSTEM_CLOCK.utc_s(), None)
    listing = listings.begin(state.db, SYSTEM_CLOCK, head, str(path)).head.id
    for line, number in enumerate(numbers, 1):
        listings.want(state.db, listing, number, line)
    listings.count(state.db, listing, len(numbers), Counts(accepted=len(numbers)), [])
    listings.finish(state.db, listing, accepted=True, path=str(path))


@pytest.mark.parametrize("command", _COMMANDS)
def test_a_command_that_is_killed_did_all_or_nothing_and_can_be_given_again(steps: Steps, command: str) -> None:
    step = steps.record("command", *command.format(spool=steps.lab.spool).split())
    assert step.changed()
    assert steps.run(step, step.decisive()) == []


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("command", _MORE_COMMANDS)
def test_a_command_that_is_killed_at_any_point_did_all_or_nothing(steps: Steps, command: str) -> None:
    step = steps.record("command", *command.format(spool=steps.lab.spool).split())
    assert steps.run(step, step.points) == []


def test_a_start_that_is_killed_enters_all_limits_and_windows_or_none(steps: Steps) -> None:
    step = steps.record("start")
    assert step.changed() >= {"bandwidth_limit", "pause"}
    assert steps.run(step, step.decisive(), together=["bandwidth_limit", "pause"]) == []


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_start_that_is_killed_at_any_point_enters_all_limits_and_windows_or_none(steps: Steps) -> None:
    step = steps.record("start")
    assert steps.run(step, step.points, together=["bandwidth_limit", "pause"]) == []


def _of_hook(point: Point) -> bool:
    """Tell whether the program is killed there, and not the worker."""
    return point.path == "hooked.log"


def _misgiven(steps: Steps) -> list[str]:
    """Return what is wrong with what the hook was given: two events, each once or twice, always with the same id."""
    log = steps.lab.root / "hooked.log"
    given = [json.loads(line) for line in log.read_text("utf-8").splitlines() if line]
    kinds: dict[str, set[str]] = {}
    deliveries: dict[str, set[str]] = {}
    for delivery in given:
        for event in delivery["events"]:
            kinds.setdefault(event["event"], set()).add(event["id"])
            deliveries.setdefault(event["id"], set()).add(delivery["delivery"])
    once = [len(each) for each in (*kinds.values(), *deliveries.values())]
    return [] if kinds.keys() == _EVENTS and set(once) == {1} and len(given) <= 3 else [f"it was given {given}"]


def _around_the_program(points: Sequence[Point]) -> list[Point]:
    """Return the last call before each time that the program ran, and the first one after it."""
    pairs = [(one, other) for one, other in itertools.pairwise(points) if _of_hook(one) != _of_hook(other)]
    return [other if _of_hook(one) else one for one, other in pairs]


def test_an_event_is_given_again_with_its_id_if_the_worker_is_killed_before_it_notes_the_delivery(steps: Steps) -> None:
    step = steps.record("hook")
    chosen = _around_the_program(step.points)
    assert len(chosen) == 4
    assert steps.run(step, chosen, together=[], wrong=lambda: _misgiven(steps)) == []


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_no_event_is_lost_whatever_point_of_a_delivery_the_worker_is_killed_at(steps: Steps) -> None:
    step = steps.record("hook")
    chosen = [point for point in step.points if not _of_hook(point)]
    assert steps.run(step, chosen, together=[], wrong=lambda: _misgiven(steps)) == []


def _mislisted(steps: Steps) -> list[str]:
    """Return what is wrong with the listings of the standing query: each product is listed once."""
    found = [path.read_text("utf-8") for path in steps.lab.inbox.glob("query-s2-*.csv")]
    listed = [line.split(",")[1] for text in found for line in text.splitlines() if line.startswith("id-")]
    return [] if sorted(listed) == sorted(FOUND) else [f"listed are {listed}"]


def test_a_standing_query_that_is_killed_lists_each_product_once(steps: Steps) -> None:
    step = steps.record("query")
    shown = [point for point in step.points if point.syscall in ("link", "rename") or "random" in point.path]
    assert len(shown) >= 10
    chosen = [*shown[::4], *step.decisive()[:1]]
    assert steps.run(step, chosen, together=[], wrong=lambda: _mislisted(steps)) == []


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_standing_query_that_is_killed_at_any_point_lists_each_product_once(steps: Steps) -> None:
    step = steps.record("query")
    assert steps.run(step, step.points, together=[], wrong=lambda: _mislisted(steps)) == []
