"""The connection of a holder ends when it is cut, whatever the thread of its task waits for."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cdsed.config.accounts import load_accounts
from cdsed.config.load import load_settings
from cdsed.engine.held_connection import HeldConnection
from cdsed.engine.orders import ListTask
from cdsed.engine.wire import Granted, Result, Task, UpMessage
from cdsed.model.eodata import split_s3_path
from cdsed.process.threadwatch import ThreadWatch
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import Installation, wait_until
from tests.support.sandbox import SandboxProcess


class _Hung:
    """Takes the first message of the thread, and does not return before it is let go."""

    def __init__(self) -> None:
        self.heard: list[UpMessage] = []
        self.let_go = threading.Event()

    def say(self, message: UpMessage) -> None:
        self.heard.append(message)
        self.let_go.wait(60)


@pytest.mark.parametrize("end", [HeldConnection.cut, HeldConnection.stop])
def test_it_ends_while_its_thread_hangs_between_two_requests(
    tmp_path: Path, sandbox: SandboxProcess, end: Callable[[HeldConnection], None]
) -> None:
    [name] = realistic_safenames("S5P", 1, seed=1)
    location = split_s3_path(sandbox.add_products({"safename": name, "size_bytes": 1000})[name])
    lab = Installation(tmp_path / "lab", sandbox)
    settings = load_settings(lab.config, {})
    [account] = load_accounts(settings, {})
    assert account.s3_keys is not None
    hung = _Hung()
    granted = Granted("pilot.1", 1, 7, account.name, 60.0, None)
    held = HeldConnection(settings, granted, account.s3_keys, hung.say, ThreadWatch())
    held.take(Task("pilot.1", 7, 1, 9, ListTask(location)))
    wait_until("it hangs", lambda: hung.heard)
    assert isinstance(hung.heard[0], Result)
    assert _open_now(sandbox) == 1
    end(held)
    wait_until("the connection has ended", lambda: _open_now(sandbox) == 0)
    hung.let_go.set()
    held.close()


def _open_now(sandbox: SandboxProcess) -> int:
    return sum(int(account["open_now"]) for account in sandbox.counters()["accounts"].values())
