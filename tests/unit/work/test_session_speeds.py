"""How fast the sessions of a process are."""

from cdsed.work.session_speeds import SessionSpeeds

_MIB = 2**20


def test_the_median_of_the_last_pieces_is_typical():
    speeds = SessionSpeeds()
    assert speeds.typical_bytes_per_s is None
    for seconds in (1, 1, 10, 1, 2):
        speeds.note(10 * _MIB, seconds)
    assert speeds.typical_bytes_per_s == 10 * _MIB


def test_what_was_fast_long_ago_is_forgotten():
    speeds = SessionSpeeds()
    for _ in range(32):
        speeds.note(10 * _MIB, 1)
    for _ in range(32):
        speeds.note(10 * _MIB, 10)
    assert speeds.typical_bytes_per_s == _MIB


def test_a_small_piece_does_not_tell_how_fast_a_session_is():
    speeds = SessionSpeeds()
    assert speeds.note(_MIB, 1) is None
    assert speeds.note(4 * _MIB, 1) == 4 * _MIB
    assert speeds.typical_bytes_per_s == 4 * _MIB
