import pytest

from cdsed.process.exits import ChildExit


@pytest.mark.parametrize(
    ("returncode", "words"),
    [
        (0, "exited with 0 (in order)"),
        (78, "exited with 78 (settings or accounts are wrong)"),
        (2, "exited with 2"),
        (-9, "was killed by signal 9 (Killed)"),
        (-35, "was killed by signal 35 (Real-time signal 1)"),
    ],
)
def test_an_end_is_named_in_words(returncode: int, words: str) -> None:
    assert ChildExit.from_returncode(returncode).describe() == words
