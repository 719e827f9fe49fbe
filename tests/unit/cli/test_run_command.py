"""``cdsed run`` where it cannot begin."""

import pytest

from cdsed.errors import ExitCode
from tests.support.cli_lab import CliLab


@pytest.mark.parametrize("below", ["", "/state"])
def test_a_state_directory_that_is_a_file_is_refused_in_one_clear_line(cli_lab: CliLab, below: str) -> None:
    cli_lab.state_dir.touch()
    settings = cli_lab.config.read_text(encoding="utf-8")
    cli_lab.config.write_text(settings.replace(str(cli_lab.state_dir), f"{cli_lab.state_dir}{below}"), encoding="utf-8")
    done = cli_lab.cdsed("run", "--once")
    assert done.returncode == ExitCode.CONFIG
    assert done.stderr.endswith(
        f"cdsed: state_dir: {cli_lab.state_dir}{below} is not a directory, or is below a file; "
        "name another place, or move it away\n"
    )
    assert "Traceback" not in done.stderr
