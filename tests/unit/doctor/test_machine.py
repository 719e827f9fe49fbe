"""What the doctor says about the machine, from a proc file system that the test writes."""

from pathlib import Path

import pytest

from cdsed.config.settings import Settings
from cdsed.doctor.finding import Finding
from cdsed.doctor.machine import TCP_RECOMMENDED, check_machine


def proc(root: Path, memory_kb: int = 10**8, **tcp: str) -> Path:
    (root / "sys/fs/inotify").mkdir(parents=True)
    (root / "sys/fs/inotify/max_user_watches").write_text("8192\n", encoding="ascii")
    (root / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable: {memory_kb} kB\n", encoding="ascii")
    for name, value in (TCP_RECOMMENDED | {key.replace("__", "."): value for key, value in tcp.items()}).items():
        path = root / "sys" / name.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n".replace(" ", "\t"), encoding="ascii")
    return root


def found(root: Path) -> dict[str, Finding]:
    return {each.check: each for each in check_machine(Settings(), root)}


def test_a_machine_as_cdse_recommends_is_fine(tmp_path: Path) -> None:
    seen = found(proc(tmp_path, net__core__rmem_max="4000000000"))
    assert {each.verdict for name, each in seen.items() if name != "clock"} == {"ok"}


def test_lower_settings_of_tcp_are_named_with_the_line_that_mends_them(tmp_path: Path) -> None:
    tcp = {"net__ipv4__tcp_rmem": "4096 131072 6291456", "net__ipv4__tcp_congestion_control": "cubic"}
    finding = found(proc(tmp_path, **tcp))["tcp"]
    assert finding.verdict == "remark"
    assert "net.ipv4.tcp_rmem is 4096 131072 6291456, net.ipv4.tcp_congestion_control is cubic" in finding.text
    assert finding.remedy.endswith("net.ipv4.tcp_rmem=8192 262144 536870912; net.ipv4.tcp_congestion_control=bbr")


def test_what_a_container_does_not_have_is_left_out(tmp_path: Path) -> None:
    root = proc(tmp_path)
    (root / "sys/net/core/rmem_max").unlink()
    assert found(root)["tcp"].verdict == "ok"


def test_little_memory_is_a_remark(tmp_path: Path) -> None:
    assert found(proc(tmp_path, memory_kb=200_000))["memory"].verdict == "remark"


@pytest.mark.parametrize(("limit", "verdict"), [(64, "problem"), (1024, "ok")])
def test_few_open_files_are_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, verdict: str
) -> None:
    monkeypatch.setattr("cdsed.doctor.machine.resource.getrlimit", lambda _: (limit, 4096))
    assert found(proc(tmp_path))["open_files"].verdict == verdict
