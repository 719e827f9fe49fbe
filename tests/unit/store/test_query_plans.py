"""What is asked every second, or for every piece of work, must not look at each of a million products."""

import re

import pytest

from cdsed.store.queries import Queries

_OFTEN = [
    *(("products", name) for name in ("groups_at_work", "arrived", "wake_due", "queued", "by_safename")),
    *(("pieces", name) for name in ("next_product", "begun_enough", "next_of_suspect", "open_pieces", "hold")),
    *(("digesting", name) for name in ("to_digest", "claimed")),
    *(("cutting", name) for name in ("waits", "left", "held")),
    *(("suspects", name) for name in ("any", "line", "holdings")),
    *(("leases", name) for name in ("free_sessions", "held", "release_pieces", "add_received")),
    *(("cancelling", name) for name in ("staged", "undecided")),
    *(("snapshot", name) for name in ("tallies", "movement", "errors")),
    *(("listings", name) for name in ("finished", "unreported", "unsatisfied")),
    ("quota_usage", "usages"),
    ("drains", "done"),
    ("disks", "reserved_bytes"),
    ("idleness", "due"),
]


@pytest.mark.parametrize(("subject", "name"), _OFTEN)
def test_what_is_asked_often_finds_its_rows_by_an_index(lab, subject, name):
    sql = getattr(Queries(subject), name)
    values = dict.fromkeys(re.findall(r"(?<!:):(\w+)", sql))
    plan = [row["detail"] for row in lab.db.rows(f"EXPLAIN QUERY PLAN {sql}", **values)]
    whole = [step for step in plan if re.match(r"SCAN (product|piece|object|want|event|received)(?! USING)", step)]
    assert whole == []
