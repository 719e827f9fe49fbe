"""The progress of a run, on disk: it outlives a kill at any byte, and follows what changes."""

from pathlib import Path

from cdsed.verification.batch_wire import BatchAnswer, FoundProblem, RunHead, Subject, VerdictKind
from cdsed.verification.progress_file import SCHEMA, ProgressFile

_HEAD = RunHead(SCHEMA, "0.1.0", ("week.txt",), 5.0)


def _subjects(*positions: int) -> tuple[Subject, ...]:
    return tuple(Subject(n, f"P{n}", f"/P{n}", False, 1, 100 + n) for n in positions)


def _written(path: Path) -> ProgressFile:
    progress = ProgressFile(path, _HEAD)
    progress.begin()
    bad = FoundProblem(2, "P2", "/P2", VerdictKind.WRONG, ("a is absent",), "n1")
    with progress:
        progress.append(_subjects(1, 2), BatchAnswer("n1", size_bytes=20, seconds=1.0, problems=(bad,)), 2.0)
        progress.append(_subjects(3, 9), BatchAnswer("n2", parts=1, size_bytes=5, seconds=0.5), 3.0)
    return progress


def test_killed_at_any_byte_it_continues_with_whole_batches(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    _written(path)
    content = path.read_bytes()
    first, second, third = (at + 1 for at, byte in enumerate(content) if byte == ord("\n"))
    for end in range(len(content) + 1):
        path.write_bytes(content[:end])
        progress = ProgressFile(path, _HEAD)
        left = progress.left()
        assert (left is not None) == (end >= first - 1)
        if left is not None:
            progress.keep(lambda *_: True)
            expected = 4 if end >= third - 1 else 2 if end >= second - 1 else 0
            assert progress.tally.products == expected
            with progress:
                progress.append(_subjects(20), BatchAnswer("n1"), 9.0)
            assert sum(len(record.done) for record in progress.records()) == expected + 1


def test_the_sums_are_those_of_all_commands_that_continued_it(tmp_path: Path) -> None:
    before = _written(tmp_path / "p").tally
    progress = ProgressFile(tmp_path / "p", _HEAD)
    progress.keep(lambda *_: True)
    assert progress.tally == before
    assert (before.right, before.parts, before.size_bytes, before.ran_s) == (3, 1, 25, 3.0)
    assert before.nodes["n1"].products == 2


def test_what_has_changed_is_dropped_with_what_was_wrong_with_it(tmp_path: Path) -> None:
    _written(tmp_path / "p")
    progress = ProgressFile(tmp_path / "p", _HEAD)
    verified = progress.verified()
    assert [verified.get(n) for n in (1, 2, 3, 9, 10, 10**6)] == [101, 0, 103, 109, 0, 0]
    progress.keep(lambda position, stamp: position != 2 and stamp == 100 + position)
    assert (progress.tally.products, progress.tally.found.total()) == (3, 0)
    assert progress.tally.size_bytes == 15  # half of the first batch
    assert [each for record in progress.records() for each in record.answer.problems] == []


def test_a_file_of_something_else_is_none(tmp_path: Path) -> None:
    path = tmp_path / "p"
    assert ProgressFile(path, _HEAD).left() is None
    for content in (b"", b"{}\n", b"\0\0\n", b'{"schema": 1}\n'):
        path.write_bytes(content)
        assert ProgressFile(path, _HEAD).left() is None
