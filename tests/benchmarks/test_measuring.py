"""What the measurements rest on: costs of a process tree, the check of what was fetched, charts, and comparisons."""

import hashlib
import os
import subprocess
import sys
import xml.dom.minidom
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks import chart, compare, page
from tests.benchmarks.data_sets import Truths
from tests.benchmarks.processes import cpu_s, pss_bytes, timed, tree
from tests.benchmarks.record import Record, read, results_of
from tests.benchmarks.result import Form, Result, spread

_BUSY = "import os, time\nwhile sum(os.times()[:4]) < 0.15: pass"


def test_the_cost_of_a_program_has_the_cpu_of_its_children(tmp_path: Path) -> None:
    script = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {_BUSY!r}], check=True)"
    cost = timed([sys.executable, "-c", script], os.environ, tmp_path / "log")
    assert cost.cpu_s >= 0.15
    assert cost.wall_s > 0
    assert cost.peak_bytes > 2**20


def test_a_program_that_fails_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with 3: words"):
        timed(["sh", "-c", "printf words; exit 3"], os.environ, tmp_path / "log")


def test_cpu_and_memory_of_a_tree_count_all_its_processes() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & wait"]) as parent:
        while len(tree(parent.pid)) < 2:
            pass
        found = tree(parent.pid)
        assert cpu_s(parent.pid) < 1
        assert pss_bytes(found) > 0
        for pid in reversed(found):
            os.kill(pid, 9)


def _products(folder: Path) -> Truths:
    files = {}
    for number in range(20):
        path, data = folder / "A.SAFE" / f"{number}", bytes([number]) * 100
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        files[f"A.SAFE/{number}"] = (100, hashlib.md5(data).hexdigest())
    return Truths(files)


def test_a_run_counts_only_with_all_files_and_the_right_bytes(tmp_path: Path) -> None:
    truths = _products(tmp_path)
    (tmp_path / ".cdsed").mkdir()
    (tmp_path / ".cdsed" / "staged").touch()
    truths.check(tmp_path)
    for number in range(20):
        (tmp_path / "A.SAFE" / f"{number}").write_bytes(b"x" * 100)
    with pytest.raises(AssertionError, match="has other bytes"):
        truths.check(tmp_path)
    (tmp_path / "A.SAFE" / "3").unlink()
    with pytest.raises(AssertionError, match=r"1 files differ, of 20; A.SAFE/3"):
        truths.check(tmp_path)


def test_only_ranges_that_do_not_overlap_are_a_change() -> None:
    before = spread("wall", [1.0, 2.0, 3.0], "s")
    assert compare.changed(before, replace(before, lowest=0.5, highest=0.9)) == "lower"
    assert compare.changed(before, replace(before, lowest=3.1, highest=4)) == "higher"
    assert compare.changed(before, replace(before, lowest=2.9, highest=4)) == ""
    assert compare.changed(before, Result("wall", 9)) == ""
    assert "wall" in compare.rows({"wall": before}, {"wall": before})[1]


def test_the_page_has_goals_and_charts_of_a_run(tmp_path: Path) -> None:
    record = Record(short=False)
    record.results["ocn"] = [spread("OCN: cdsed run --once / rclone copy", [1.2, 1.4, 1.9], at_most=1.6)]
    record.results["quota"] = [Result("quota: MIX, 2 accounts: achieved / possible", 0.9, at_least=0.97)]
    document = read(record.write(tmp_path / "run.json"))
    assert results_of(document)["OCN: cdsed run --once / rclone copy"].lowest == 1.2
    text = page.text(document)
    assert "| OCN: cdsed run --once / rclone copy | 1.4 (1.2 to 1.9, n=3) | <= 1.6 | met |" in text
    assert "| quota: MIX, 2 accounts: achieved / possible | 0.9 | >= 0.97 | missed |" in text
    pictures = page.pictures(document)
    assert set(pictures) == {"performance-peers.svg", "performance-quota.svg"}
    for picture in pictures.values():
        xml.dom.minidom.parseString(picture)
        assert "prefers-color-scheme:dark" in picture


def test_a_chart_says_what_is_compared() -> None:
    assert "<title>a &lt; b</title>" in chart.chart("a < b", [("OCN", [("x", Result("x", 0.5))])])


def test_the_short_form_has_fewer_repeats_unless_you_name_a_number() -> None:
    assert [Form(True).times(5, 3), Form().times(5, 3), Form(True, 1).times(5, 3)] == [3, 5, 1]
