"""``make fresh-machines`` fails when it has nothing to try. Its real runs take hours and are started by hand."""

from tests.packaging import machines


def test_fresh_machines_that_no_name_selects_fail(capsys):
    assert machines.main(["no-such-machine"]) == 1
    assert "no-such-machine" in capsys.readouterr().err
