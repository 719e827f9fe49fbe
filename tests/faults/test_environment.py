"""An empty environment, LANG=C, no HOME or one that cannot be written, and names that are not ASCII."""

import subprocess
import sys
from pathlib import Path

import pytest

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation
from tests.support.sandbox import SandboxProcess

_REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="empty"),
        pytest.param({"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}, id="C"),
        pytest.param({"LC_ALL": "POSIX", "HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none"}, id="no-home"),
    ],
)
def test_it_works_in_a_poor_environment_with_names_that_are_not_ascii(tmp_path: Path, environ: dict[str, str]) -> None:
    names = realistic_safenames("S1_OCN", 2, seed=391)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path / "Données à nous, #1 ☂", sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 200_000} for name in names))
        lab.drop("wöchentlich 12.txt", names)
        environ = {"PYTHONPATH": str(_REPOSITORY), **environ}
        with DaemonProcess(lab, "--once", environ=environ, only=True) as daemon:
            assert daemon.wait(60) == 0, daemon.log()
        assert lab.differences(names) == []
        assert "Traceback" not in daemon.log()
        response = subprocess.run(
            [sys.executable, "-m", "cdsed", "status", "--config", str(lab.config)],
            env=environ,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert response.returncode == 3, response.stderr
        assert b"2 done" in response.stdout
