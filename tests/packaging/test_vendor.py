"""What the page has of others is recorded with version, licence and digest, and names no other host."""

import hashlib
import json
import re
from pathlib import Path

_STATIC = Path(__file__).resolve().parents[2] / "cdsed" / "web" / "static"
_VENDOR = _STATIC / "vendor"


def test_each_file_of_others_is_the_one_that_is_recorded() -> None:
    parts = json.loads((_VENDOR / "vendor.json").read_text("utf-8"))["parts"]
    recorded = {_VENDOR / file["to"]: file["sha256"] for part in parts for file in part["files"]}
    present = {path for path in _VENDOR.rglob("*") if path.is_file()} - {_VENDOR / "vendor.json"}
    assert present == set(recorded)
    assert {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in present} == recorded
    assert all(part["licence"] and re.fullmatch(r"\d+\.\d+\.\d+", part["version"]) for part in parts)
    assert {path.parent for path in present} == {path.parent for path in present if path.name == "LICENSE"}


def test_the_page_names_no_other_host() -> None:
    ours = [path for path in _STATIC.rglob("*") if _VENDOR not in path.parents]
    own = [path for path in ours if path.suffix in (".html", ".css", ".js")]
    assert len(own) > 5
    text = "".join(path.read_text("utf-8") for path in own)
    assert re.findall(r"https?://[^\s\"'<>]+", text) == []
    assert not re.search(r"\bstyle=|\bon(click|load|error)=", (_STATIC / "index.html").read_text("utf-8"))


def test_the_page_is_small() -> None:
    assert sum(path.stat().st_size for path in _STATIC.rglob("*") if path.is_file()) < 400_000
