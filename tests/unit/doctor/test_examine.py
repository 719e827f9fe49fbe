"""What the doctor looks at, and what it leaves to root."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.doctor.examine import examine
from tests.support.daemon import Installation
from tests.support.sandbox import SandboxProcess


def _accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patch: Callable[..., None]) -> list[Any]:
    sandbox = SandboxProcess(1)
    sandbox.url = "http://127.0.0.1:9"  # it is not asked
    lab = Installation(tmp_path / "lab", sandbox)
    patch(monkeypatch)
    found = examine(lab.config, os.environ, SYSTEM_CLOCK, online=False)
    return [each for each in found if each.check == "accounts"]


def test_accounts_that_only_root_may_read_are_a_remark_because_systemd_passes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unprivileged(patch: pytest.MonkeyPatch) -> None:
        patch.setattr("cdsed.doctor.examine.os.geteuid", lambda: 1000)
        patch.setattr("cdsed.doctor.examine.os.access", lambda path, _mode: not str(path).endswith("accounts.yml"))
        patch.setattr("cdsed.doctor.examine._root_owns", lambda _path: True)

    [finding] = _accounts(tmp_path, monkeypatch, unprivileged)
    assert (finding.verdict, "belongs to root" in finding.text) == ("remark", True)


def test_accounts_that_may_be_read_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [finding] = _accounts(tmp_path, monkeypatch, lambda _patch: None)
    assert (finding.verdict, "are valid" in finding.text) == ("ok", True)
