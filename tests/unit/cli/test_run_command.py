"""``cdsed run`` where it cannot begin."""

import pytest

from cdsed.errors import ExitCode
from tests.unit.cli.conftest import Lab


@pytest.mark.parametrize("below", ["", "/state"])
def test_a_state_directory_that_is_a_file_is_refused_in_one_clear_line(lab: Lab, below: str) -> None:
    lab.state_dir.touch()
    settings = lab.config.read_text(encoding="utf-8")
    lab.config.write_text(settings.replace(str(lab.state_dir), f"{lab.state_dir}{below}"), encoding="utf-8")
    done = lab.cdsed("run", "--once")
    assert done.returncode == ExitCode.CONFIG
    assert done.stderr.endswith(
        f"cdsed: state_dir: {lab.state_dir}{below} is no directory, or lies below a file; "
        "name another place, or move it away\n"
    )
    assert "Traceback" not in done.stderr
