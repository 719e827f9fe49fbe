import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdsed.inbox import receipt
from cdsed.inbox.durable_files import DurableFileBatch
from cdsed.model.listing import Counts, LineVerdict, ListingHead, Remark, ReportRow

A = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
B = "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE"
HEAD = ListingHead(17, "storms.txt", "ab" * 32, "lops", 5, None, 1_780_000_000.0, "alice")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "storms.txt"


def write_receipt(base: Path, *values: Any) -> None:
    with DurableFileBatch() as batch:
        receipt.write_receipt(batch, base, *values)


def write_report(base: Path, *values: Any) -> None:
    with DurableFileBatch() as batch:
        receipt.write_report(batch, base, *values)


def write_refusal(base: Path, *values: Any) -> None:
    with DurableFileBatch() as batch:
        receipt.write_refusal(batch, base, *values)


def both(base: Path, kind: str) -> tuple[dict[str, object], str]:
    text = base.with_name(f"storms.txt.{kind}.txt").read_text(encoding="utf-8")
    return json.loads(base.with_name(f"storms.txt.{kind}.json").read_text(encoding="utf-8")), text


def test_a_receipt_says_the_sums_and_every_remark(base: Path) -> None:
    counts = Counts(accepted=1190, duplicate=3, known=2, already_present=4, rejected=1, ignored=4)
    remarks = [
        Remark(4, LineVerdict.ALREADY_PRESENT, B, "/archive/" + B),
        Remark(1204, LineVerdict.REJECTED, None, "'x' does not begin like the name of a Sentinel product"),
    ]
    write_receipt(base, HEAD, counts, remarks)
    data, text = both(base, "receipt")
    assert data == {
        "schema": 2,
        "listing": {
            "id": 17,
            "name": "storms.txt",
            "sha256": "ab" * 32,
            "group": "lops",
            "priority": 5,
            "outputdir": None,
            "taken_at": "2026-05-28T20:26:40Z",
            "user": "alice",
            "layout": None,
            "include": [],
            "exclude": [],
        },
        "counts": {
            "accepted": 1190,
            "duplicate": 3,
            "known": 2,
            "already_present": 4,
            "rejected": 1,
            "ignored": 4,
            "lines": 1204,
        },
        "remarks": [
            {"line": 4, "verdict": "already_present", "safename": B, "text": "/archive/" + B},
            {"line": 1204, "verdict": "rejected", "safename": None, "text": remarks[1].text},
        ],
    }
    assert text == (
        "Receipt of listing storms.txt (no. 17)\n"
        "dropped by alice, taken 2026-05-28T20:26:40Z\n"
        "account group lops, priority 5, into the spool\n"
        "\n"
        "1 204 lines: 1 190 accepted, 3 duplicates, 2 already known, 4 already on disk, 1 rejected, "
        "4 blank, comment or header\n"
        "\n"
        "Rejected\n"
        "  line     1 204  'x' does not begin like the name of a Sentinel product\n"
        "\n"
        "Already on disk\n"
        f"  line         4  {B}  /archive/{B}\n"
    )


def test_a_receipt_without_remarks_is_whole_json_too(base: Path) -> None:
    write_receipt(base, HEAD, Counts(accepted=1), [])
    data, text = both(base, "receipt")
    assert data["remarks"] == []
    assert "1 line: 1 accepted" in text


def test_a_report_puts_failed_products_first_with_cause(base: Path) -> None:
    rows = [
        ReportRow(1, A, "done", f"/spool/{A}", 2_121_095_339, 1, None),
        ReportRow(2, B, "failed", None, None, 6, "the body was cut\nsix times"),
        ReportRow(3, "S1A_x.SAFE", "unavailable", None, None, 0, "never existed"),
    ]
    write_report(base, HEAD, rows)
    data, text = both(base, "report")
    assert data["schema"] == 2
    assert data["states"] == {"done": 1, "failed": 1, "unavailable": 1}
    assert data["products"][1] == {
        "line": 2,
        "safename": B,
        "state": "failed",
        "path": None,
        "size_bytes": None,
        "attempts": 6,
        "cause": "the body was cut\nsix times",
        "partial": False,
    }
    assert text.endswith(
        "\n"
        "3 products: 1 done, 1 failed, 1 unavailable\n"
        "\n"
        "Not on disk\n"
        f"  line         2  failed           {B}  the body was cut six times  6 attempts\n"
        "  line         3  unavailable      S1A_x.SAFE  never existed\n"
        "\n"
        "On disk\n"
        f"  line         1  done             {A}  /spool/{A}  2.1 GB  1 attempt\n"
    )


def test_a_refusal_gives_the_reason(base: Path) -> None:
    write_refusal(base, "storms.txt", "storms.txt is UTF-16")
    data, text = both(base, "receipt")
    assert data["refused"] == "storms.txt is UTF-16"
    assert text.endswith("The file as a whole was rejected: storms.txt is UTF-16\n")


def test_a_report_replaces_the_old_one_only_when_whole(base: Path) -> None:
    def broken() -> Iterator[ReportRow]:
        yield ReportRow(1, A, "done", None, None, 1, None)
        raise RuntimeError("killed")

    write_report(base, HEAD, [])
    before = both(base, "report")
    with pytest.raises(RuntimeError):
        write_report(base, HEAD, broken())
    assert both(base, "report") == before
    assert len(list(base.parent.iterdir())) == 2
