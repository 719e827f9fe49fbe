"""A holder whose head does not answer ends its connection itself, shortly before the kernel ends the holder."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cdsed.config.accounts import load_accounts
from cdsed.config.load import load_settings
from cdsed.engine.orders import ListTask
from cdsed.engine.wire import DownMessage, Granted, Result, Task, Want, decode, encode
from cdsed.model.eodata import split_s3_path
from cdsed.process.interpreter import module_command
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import Installation
from tests.support.sandbox import SandboxProcess

_GRANT_S = 6.0


def test_it_cuts_its_connection_before_the_kernel_kills_it(tmp_path: Path, sandbox: SandboxProcess) -> None:
    [name] = realistic_safenames("S5P", 1, seed=1)
    location = split_s3_path(sandbox.add_products({"safename": name, "size_bytes": 1000})[name])
    sandbox.fault(kind="stall", operation="list")
    lab = Installation(tmp_path / "lab", sandbox)
    [account] = load_accounts(load_settings(lab.config, {}), {})
    with _holder(lab.config) as holder:
        assert holder.stdout is not None
        want = decode(holder.stdout.readline().decode())
        assert isinstance(want, Want)
        _tell(holder, Granted("pilot.1", want.seq, 1, account.name, _GRANT_S, None))
        _tell(holder, Task("pilot.1", 1, 1, 9, ListTask(location)))
        said = [decode(line.decode()) for line in holder.stdout]
        [result] = [message for message in said if isinstance(message, Result)]
        assert (result.number, result.answer.failed) == (1, True), "its task was still at it"
        assert holder.wait() == -signal.SIGKILL


@contextlib.contextmanager
def _holder(config: Path) -> "Iterator[subprocess.Popen[bytes]]":
    command = module_command("cdsed.engine.holder", str(config), "pilot.1")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def _tell(holder: "subprocess.Popen[bytes]", message: DownMessage) -> None:
    assert holder.stdin is not None
    holder.stdin.write(f"{encode(message)}\n".encode())
    holder.stdin.flush()
