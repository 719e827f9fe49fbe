"""Write the pictures of `cdsed status` at 80 and 160 columns: ``python -m tests.screenshots``."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.screenshots.svg import picture
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_ROOT = Path(__file__).parents[2]
_PICTURES = _ROOT / "docs/pictures"
_SIZES = {80: 24, 160: 40}
_BANDWIDTH_BYTES_PER_S = 700_000


def main() -> None:
    """Run a sandbox and a daemon, and write a picture of each size while they work, and one with a rejected key."""
    _PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, busy(Path(folder)) as (sandbox, lab, daemon):
        wait_until("it is under way", lambda: _done(lab) >= 8, 120, daemon=daemon)
        for width, height in _SIZES.items():
            write(f"status-{width}", printed(lab, width, height), width)
        sandbox.fault(kind="key_expired", account="sandbox-2")
        wait_until("it is noticed", lambda: any(each["error"] for each in lab.status()["accounts"]), daemon=daemon)
        write("status-alarm-80", printed(lab, 80, 24), 80)


@contextmanager
def busy(folder: Path) -> Iterator[tuple[SandboxProcess, Installation, DaemonProcess]]:
    """Yield a daemon that downloads two listings with two accounts; some of their products do not exist."""
    accounts = make_accounts(2, 1, _BANDWIDTH_BYTES_PER_S)
    names = [*realistic_safenames("S1_GRD", 30, seed=3), *realistic_safenames("S2_L1C", 10, seed=4)]
    with SandboxProcess(accounts) as sandbox:
        lab = Installation(folder, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 5_000_000} for name in names))
        lab.drop("brest-2024.csv", [*names[:30], *realistic_safenames("S1_OCN", 2, seed=5)])
        lab.drop("week12.txt", names[30:])
        with DaemonProcess(lab) as daemon:
            yield sandbox, lab, daemon


def _done(lab: Installation) -> int:
    return int(lab.status().get("products", {}).get("done", {}).get("products", 0))


def printed(lab: Installation, width: int, height: int) -> str:
    """Return what `cdsed status` prints on a terminal of this size."""
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", height, width, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    environ |= {"PYTHONPATH": str(_ROOT), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "cdsed", "status", "--config", str(lab.config)]
    with subprocess.Popen(command, stdout=terminal, stderr=subprocess.STDOUT, env=environ) as process:
        os.close(terminal)
        shown = b""
        try:
            while part := os.read(screen, 65_536):
                shown += part
        except OSError:  # the terminal has no writer any more
            pass
        process.wait(60)
    os.close(screen)
    text = shown.decode().replace("\r\n", "\n").replace(f"{lab.root}/", "/data/")
    return text.replace(f"DISK{' ' * (len(f'{lab.root}/') - len('/data/'))}", "DISK")  # the column is as narrow


def write(name: str, text: str, width: int) -> None:
    """Write one picture."""
    path = _PICTURES / f"{name}.svg"
    path.write_text(picture(text, width, f"cdsed status on a terminal of {width} columns"), "utf-8")
    print(path.relative_to(_ROOT))


if __name__ == "__main__":
    main()
