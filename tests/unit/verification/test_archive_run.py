"""A run over workers that die, refuse, fail and say wrong things: each product is judged once, none pays for others."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdsed._version import __version__
from cdsed.engine.calls import EndedCall
from cdsed.errors import MachineError
from cdsed.verification.archive_run import ArchiveRun
from cdsed.verification.batch_queue import BatchQueue
from cdsed.verification.batch_wire import (
    BatchAnswer,
    BatchOrder,
    FoundProblem,
    RootMark,
    RunHead,
    Subject,
    VerdictKind,
    as_text,
    read_as,
)
from cdsed.verification.progress_file import SCHEMA, ProgressFile


def _subjects(count: int) -> list[Subject]:
    return [Subject(n, f"P{n}", f"/archive/P{n}", False, 1_000_000, n) for n in range(1, count + 1)]


def _positions(order: str) -> set[int]:
    return {each.position for each in read_as(BatchOrder, order).products}


class _Farm:
    """Workers that do what a test says; one that dies comes back under another address."""

    def __init__(self, workers: int, seed: int = 1) -> None:
        self.dice = random.Random(seed)
        self.addresses = [f"w{n}" for n in range(workers)]
        self.made = workers
        self.deadly: set[int] = set()
        self.raising: set[int] = set()
        self.unreadable: dict[int, int] = {}  # how often
        self.absent: set[int] = set()
        self.refusing: set[str] = set()
        self.old: set[str] = set()
        self.dies_by_chance = 0.0
        self.lost_by_chance = 0.0
        self.moved: dict[int, Subject | None] = {}  # None: removed
        self.known: dict[int, Subject] = {}
        self.hanging: set[int] = set()
        self.now_s = 0.0
        self.waiting: list[tuple[int, str, str]] = []
        self.at_work = self.most_at_work = 0

    def workers(self) -> Mapping[str, int]:
        return dict.fromkeys(self.addresses, 1)

    def begin(self, number: int, worker: str, text: str) -> None:
        self.waiting.append((number, worker, text))
        self.known |= {each.position: each for each in read_as(BatchOrder, text).products}
        self.most_at_work = max(self.most_at_work, len(self.waiting))

    def forget(self, number: int) -> None:
        self.waiting = [each for each in self.waiting if each[0] != number]

    def look_again(self, positions: Iterable[int]) -> Mapping[int, Subject]:
        """Return what the state says of products now."""
        now = {n: self.moved.get(n, self.known[n]) for n in positions}
        return {n: each for n, each in now.items() if each is not None}

    def clock_s(self) -> float:
        """Return a time that passes while the run waits."""
        return self.now_s

    def ended(self, timeout_s: float) -> Sequence[EndedCall]:
        self.now_s += timeout_s
        here = [each for each in self.waiting if each[1] in self.addresses]
        if not here:
            return ()
        first = {worker: each for each in reversed(here) for worker in [each[1]]}  # a worker takes one after the other
        free = [each for each in first.values() if not self.hanging & _positions(each[2])]
        if not free:
            return ()
        number, worker, text = self.dice.choice(free)
        order = read_as(BatchOrder, text)
        positions = {each.position for each in order.products}
        if positions & self.deadly or (positions and self.dice.random() < self.dies_by_chance):
            self.addresses.remove(worker)
            self.addresses.append(f"w{self.made}")
            self.made += 1
            return ()
        self.waiting.remove((number, worker, text))
        if positions and self.dice.random() < self.lost_by_chance:
            return [EndedCall(number)]
        if positions & self.raising:
            return [EndedCall(number, raised="ValueError: what is this")]
        return [EndedCall(number, as_text(self._answer(worker, order)))]

    def _answer(self, worker: str, order: BatchOrder) -> BatchAnswer:
        if worker in self.old:
            return BatchAnswer(worker, f"has cdsed 0.0.1, and this command {__version__}")
        if worker in self.refusing and order.products:
            return BatchAnswer(worker, "does not see /archive: is its file system mounted there?")
        problems = []
        for each in order.products:
            if self.unreadable.get(each.position, 0) > 0:
                self.unreadable[each.position] -= 1
                problems.append((each, VerdictKind.UNREADABLE))
            elif each.position in self.absent and each != self.moved.get(each.position):
                problems.append((each, VerdictKind.ABSENT))
        found = tuple(FoundProblem(e.position, e.safename, e.path, finding, ("x",), worker) for e, finding in problems)
        return BatchAnswer(worker, size_bytes=len(order.products), seconds=0.2, problems=found)


class _Slow(_Farm):
    """Workers that begin with a pause of so many seconds, after they were greeted."""

    def __init__(self, workers: int, hangs_s: float) -> None:
        super().__init__(workers)
        self.hangs_s = hangs_s

    def ended(self, timeout_s: float) -> Sequence[EndedCall]:
        if any(_positions(text) for _, _, text in self.waiting) and self.now_s < self.hangs_s:
            self.now_s += 100
            return ()
        return super().ended(timeout_s)


class _Ran:
    """A run that has ended, and what its file says."""

    def __init__(
        self,
        directory: Path,
        farm: _Farm,
        subjects: list[Subject],
        *,
        roots: Sequence[RootMark] = (),
        patience_s: float = 0,
        said: list[str] | None = None,
    ) -> None:
        self.said: list[str] = [] if said is None else said
        self.progress = ProgressFile(directory / "progress.jsonl", RunHead(SCHEMA, __version__, (), 0.0))
        self.progress.begin()
        with self.progress:
            say, now_s = self.said.append, farm.clock_s
            run = ArchiveRun(
                farm, roots, iter(subjects), self.progress, patience_s, say, look_again=farm.look_again, now_s=now_s
            )
            for _ in run.work():
                pass

    @property
    def judged(self) -> list[int]:
        return sorted(position for record in self.progress.records() for position, _ in record.done)

    @property
    def found(self) -> dict[int, VerdictKind]:
        return {each.position: each.finding for record in self.progress.records() for each in record.answer.problems}


def test_every_product_is_judged_once_and_few_batches_wait(tmp_path: Path) -> None:
    farm, subjects = _Farm(3), _subjects(20_000)
    ran = _Ran(tmp_path, farm, subjects)
    assert ran.judged == [each.position for each in subjects]
    assert ran.found == {}
    assert farm.most_at_work <= 6


@pytest.mark.parametrize("deadly", [{7}, {1, 2, 400}, {350}])
def test_a_product_at_which_workers_die_is_given_up_and_no_other(tmp_path: Path, deadly: set[int]) -> None:
    farm = _Farm(2)
    farm.deadly = deadly
    ran = _Ran(tmp_path, farm, _subjects(500))
    assert ran.judged == list(range(1, 501))
    assert ran.found == dict.fromkeys(deadly, VerdictKind.UNREADABLE)


def test_a_product_over_which_cdsed_fails_is_given_up_and_no_other(tmp_path: Path) -> None:
    farm = _Farm(2)
    farm.raising = {77}
    ran = _Ran(tmp_path, farm, _subjects(300))
    assert ran.judged == list(range(1, 301))
    [problem] = [each for record in ran.progress.records() for each in record.answer.problems]
    assert (problem.position, problem.problems) == (77, ("cdsed has failed: ValueError: what is this",))


@given(seed=st.integers(0, 2**32), chance=st.sampled_from([0.0, 0.05, 0.2]), workers=st.integers(1, 5))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_dies_and_is_lost_every_product_is_judged_once(
    tmp_path: Path, seed: int, chance: float, workers: int
) -> None:
    farm = _Farm(workers, seed)
    farm.deadly = set(farm.dice.sample(range(1, 1001), 2))
    farm.unreadable = {5: 1, 6: 9}
    farm.dies_by_chance = farm.lost_by_chance = chance
    ran = _Ran(tmp_path, farm, _subjects(1000))
    assert ran.judged == list(range(1, 1001))
    assert {*farm.deadly, 6} <= ran.found.keys()
    if not chance:
        assert ran.found.keys() == {*farm.deadly, 6}


def test_what_cannot_be_read_once_is_read_again_before_it_counts(tmp_path: Path) -> None:
    farm = _Farm(2)
    farm.unreadable = {3: 1, 4: 2}
    assert _Ran(tmp_path, farm, _subjects(100)).found == {4: VerdictKind.UNREADABLE}


@pytest.mark.parametrize("kind", ["refusing", "old"])
def test_a_worker_that_refuses_is_named_once_and_others_verify_all(tmp_path: Path, kind: str) -> None:
    farm = _Farm(2)
    (farm.refusing if kind == "refusing" else farm.old).add("w0")
    ran = _Ran(tmp_path, farm, _subjects(5000))
    assert (ran.judged, ran.found) == (list(range(1, 5001)), {})
    assert [each.partition(" ")[0] for each in ran.said] == ["w0"]


def test_without_a_worker_that_can_the_run_ends_and_says_why(tmp_path: Path) -> None:
    farm = _Farm(2)
    farm.refusing = {"w0", "w1"}
    with pytest.raises(MachineError, match=r"no worker can verify: w. does not see /archive.*; w. does not see"):
        _Ran(tmp_path, farm, _subjects(10))
    farm.addresses = []
    with pytest.raises(MachineError, match="none is connected"):
        _Ran(tmp_path, farm, _subjects(10))


def test_workers_that_refuse_again_and_again_are_not_waited_for_forever(tmp_path: Path) -> None:
    farm = _Farm(2)
    farm.refusing = {"w0", "w1"}
    with pytest.raises(MachineError, match="no worker can verify"):
        _Ran(tmp_path, farm, _subjects(10), patience_s=150)
    assert 150 <= farm.now_s < 200


def test_a_run_without_workers_says_that_it_waits(tmp_path: Path) -> None:
    farm, said = _Farm(0), list[str]()
    with pytest.raises(MachineError, match="none is connected"):
        _Ran(tmp_path, farm, _subjects(10), patience_s=150, said=said)
    assert said == ["waits for a worker: none is connected"]


def test_a_product_at_which_workers_hang_is_given_up_and_no_other(tmp_path: Path) -> None:
    farm = _Farm(40)
    farm.hanging = {77}
    ran = _Ran(tmp_path, farm, _subjects(300), patience_s=150)
    assert (ran.judged, ran.found) == (list(range(1, 301)), {77: VerdictKind.UNREADABLE})


def test_this_process_is_never_late_and_products_of_unknown_size_may_be_large(tmp_path: Path) -> None:
    unknown = [replace(each, size_bytes=None) for each in _subjects(10)]
    for patience_s, hangs_s in ((0, 10**6), (150, 39_000)):
        farm = _Slow(1, hangs_s)
        ran = _Ran(tmp_path, farm, unknown, patience_s=patience_s)
        assert (ran.judged, ran.found, ran.said) == (list(range(1, 11)), {}, [])


def test_an_answer_that_comes_late_counts_once(tmp_path: Path) -> None:
    farm = _Slow(1, 2000)
    ran = _Ran(tmp_path, farm, _subjects(10), patience_s=3000)
    assert (ran.judged, ran.found) == (list(range(1, 11)), {})
    assert ran.said == ["w0 has not answered for 600 s"]


def test_absent_for_a_worker_is_absent_only_if_it_is_absent_here_too(tmp_path: Path) -> None:
    names = ["here", "gone", "other"]
    for name in ("here", "other"):
        (tmp_path / name).mkdir()
    subjects = [Subject(n, name, str(tmp_path / name), False, 1, 1) for n, name in enumerate(names, start=1)]
    farm = _Farm(1)
    farm.absent = {2}
    assert _Ran(tmp_path, farm, subjects).found == {2: VerdictKind.ABSENT}
    farm.absent = {1, 2}
    with pytest.raises(MachineError, match=f"w0 does not see all that is in {tmp_path}: "):
        _Ran(tmp_path, farm, subjects)


def test_a_product_that_was_moved_meanwhile_is_looked_at_where_it_is(tmp_path: Path) -> None:
    farm, subjects = _Farm(1), _subjects(5)
    farm.absent = {2, 3, 4}
    farm.moved = {2: replace(subjects[1], path="/archive/new", stamp=99), 3: None}
    ran = _Ran(tmp_path, farm, subjects)
    assert (ran.judged, ran.found) == ([1, 2, 4, 5], {4: VerdictKind.ABSENT})
    assert ran.progress.verified().get(2) == 99


def test_nothing_is_absent_while_this_machine_does_not_see_its_disk(tmp_path: Path) -> None:
    farm, spool = _Farm(1), tmp_path / "spool"
    spool.mkdir()
    farm.absent = {1}
    subjects = [Subject(1, "P", str(spool / "P"), False, 1, 1)]
    with pytest.raises(MachineError, match=f"this machine sees no marker in {spool}"):
        _Ran(tmp_path, farm, subjects, roots=[RootMark(str(spool), "known")])


def test_batches_become_some_seconds_of_work() -> None:
    queue = BatchQueue(iter(_subjects(10_000)))
    sizes = []
    for _ in range(8):
        batch = queue.next(idle=True)
        assert batch is not None
        sizes.append(len(batch.products))
        queue.measured(batch, 0.01 * len(batch.products))
    assert sizes[-1] == pytest.approx(500, rel=0.1)
    assert max(sizes) <= 1000


def test_many_small_products_that_were_fast_make_no_batches_of_many_large_ones() -> None:
    large = [replace(each, size_bytes=10**9) for each in _subjects(200)]
    unknown = [replace(each, size_bytes=None) for each in _subjects(200)]
    for those in (large, unknown):
        queue = BatchQueue(iter(_subjects(20_000) + those))
        while (batch := queue.next(idle=True)) is not None and batch.products[0] not in those:
            queue.measured(batch, 0.000_001)
        assert batch is not None
        assert len(batch.products) <= 10


def test_an_order_has_names_and_paths_and_no_secret() -> None:
    kinds: list[Callable[..., object]] = [Subject, RootMark, BatchOrder, FoundProblem, BatchAnswer]
    named = {name for kind in kinds for name in kind.__annotations__}
    assert not [name for name in named if "key" in name or "secret" in name or "token" in name or "account" in name]
