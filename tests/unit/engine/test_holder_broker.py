"""Each position that a holder notes is a commit of the head, so hundreds of holders note theirs less often."""

import pytest

from cdsed.engine.holder_broker import note_every_s


@pytest.mark.parametrize(("sessions", "every_s"), [(1, 2.0), (50, 2.0), (100, 4.0), (400, 16.0)])
def test_all_holders_together_note_at_most_25_positions_a_second(sessions, every_s):
    assert note_every_s(2.0, sessions) == every_s


def test_few_holders_note_positions_as_often_as_the_settings_say():
    assert note_every_s(0.5, 8) == 0.5
    assert note_every_s(20.0, 400) == 20.0
