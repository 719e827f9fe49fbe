"""The rules that a state must always follow, even after a crash of the daemon, and the violations of them.

`rules_broken` checks the database alone, in one read transaction, so that it never sees half a change of a running
daemon. This module only reads what concerns processes and disks; `cdsed.work.checking` compares it with them.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from cdsed.frozen import frozen
from cdsed.model.listing import Counts, LineVerdict
from cdsed.model.product_state import TRANSITIONS, State
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("audit")

MOST = 20
"""This many violations of one rule are reported; the first few show what went wrong."""

_REPORT_IT = "this is an error in cdsed: please report it; `cdsed state rebuild` makes a new state"


@frozen
class Violation:
    """A thing that breaks a rule.

    Attributes
    ----------
    rule
        A short stable word, for counting and programs.
    subject
        Which product, session, listing or file.
    text
        What is wrong with it.
    remedy
        What to do.
    """

    rule: str
    subject: str
    text: str
    remedy: str


@frozen
class _AuditRule:
    name: str
    query: str
    subject: str
    text: str


_RULES = (
    _AuditRule(
        "history",
        _SQL.broken_history,
        "{safename}",
        "its history has the step {origin} -> {target} in state {before}, which does not allow it",
    ),
    _AuditRule(
        "history",
        _SQL.history_ends_elsewhere,
        "{safename}",
        r"its state is {state}, but its history ends with \{recorded}",
    ),
    _AuditRule("fence", _SQL.fence_ahead, "{name}", "its fence {fence} is ahead of the counter, {value}"),
    _AuditRule("fence", _SQL.fence_shared, "{sessions}", "these sessions share the fence {fence}"),
    _AuditRule(
        "piece", _SQL.piece_unowned, "{safename}", "its piece {piece} is held under fence {fence}, which no lease has"
    ),
    _AuditRule("claim", _SQL.claim_unowned, "{name}", "it is held by process {process}, which does not exist"),
    _AuditRule(
        "pieces",
        _SQL.object_cut_wrongly,
        "{safename}",
        "the pieces of {path} have {pieces_bytes} bytes together instead of {size_bytes}",
    ),
    _AuditRule(
        "tally",
        _SQL.miscounted,
        "listing {listing}, {state}",
        r"the tally says \{recorded} products of \{recorded_bytes} bytes, and there are {counted} of {counted_bytes}",
    ),
    _AuditRule(
        "backlog",
        _SQL.backlog_miscounted,
        "listing {listing}, {kind}",
        r"the backlog says \{recorded} products of \{recorded_bytes} bytes, and there are {counted} of {counted_bytes}",
    ),
    _AuditRule(
        "pause",
        _SQL.held_wrongly,
        "{safename}",
        "that a pause holds it is marked as {held}, against its listings",
    ),
    _AuditRule("refetch", _SQL.controls_left, "{safename}", "it is {state}, and still to replace a copy"),
    _AuditRule(
        "sums",
        _SQL.lines_and_verdicts,
        "listing {name}",
        "of {items_taken} lines {verdicts} have a verdict; {named} name a product, and the state has {wants} of these; "
        "{remarked} need a remark, and {remarks} have one",
    ),
)


@frozen
class LivenessProof:
    """A worker's row, or a lease, and the lock file whose flock proves that its holder runs."""

    rule: str
    subject: str
    lock: Path


@frozen
class TakenListing:
    """A listing that was taken: the counts of its receipt, and its path."""

    id: int
    name: str
    open: bool
    path: Path
    items_taken: int
    counts: Counts


@frozen
class OnDisk:
    """A product that is complete at ``path`` by the state; there may be millions, so no value is converted."""

    position: int
    safename: str
    state: str
    path: str
    partial: int


def rules_broken(db: Database) -> list[Violation]:
    """Return the violations that the database alone shows, at most `MOST` of each rule."""
    with db.read():
        violations = list(_transitions(db))
        for rule in _RULES:
            for row in db.rows(rule.query, most=MOST):
                words = {name: "nothing" if value is None else value for name, value in row.items()}
                violations.append(
                    Violation(rule.name, rule.subject.format(**words), rule.text.format(**words), _REPORT_IT)
                )
    return violations


def held(db: Database, session_lock: Callable[[str, int], Path]) -> list[LivenessProof]:
    """Return every worker row and lease, each with the lock that a running process must hold for it."""
    with db.read():
        processes = [
            LivenessProof("process", f"{row['name']} (pid {row['pid']})", Path(row["lock"]))
            for row in db.rows(_SQL.processes)
        ]
        sessions = [
            LivenessProof(
                "lease",
                f"session {row['account']}.{row['slot']}, fence {row['fence']}",
                session_lock(row["account"], row["slot"]),
            )
            for row in db.rows(_SQL.held_sessions)
        ]
    return processes + sessions


def stopped_in_order(db: Database) -> bool:
    """Tell whether the last daemon stopped in order; False while it runs or after it died."""
    return bool(db.value(_SQL.stopped_in_order))


def listings_taken(db: Database) -> list[TakenListing]:
    """Return the listings whose lines are all in the state."""
    return [
        TakenListing(
            row["id"],
            row["name"],
            row["state"] == "open",
            Path(row["path"]),
            row["items_taken"],
            Counts(**{verdict.value: row[verdict.value] for verdict in LineVerdict}),
        )
        for row in db.rows(_SQL.listings)
    ]


def on_disk(db: Database) -> Iterator[OnDisk]:
    """Yield every product that is done or already present, by number."""
    for row in db.stream(_SQL.on_disk):
        yield OnDisk(**row)


def newest(db: Database) -> int:
    """Return the highest number of a product, 0 without any."""
    return int(db.value(_SQL.newest) or 0)


def changes_since(db: Database, at: float) -> tuple[int, int]:
    """Return how many changes of products' states, and how many listings, are newer than `at` (s UTC)."""
    row = db.row(_SQL.changes_since, at=at)
    assert row is not None, "a row of two counts always exists"
    return row["changes"], row["listings"]


def outputdirs(db: Database) -> list[Path]:
    """Return the output directories that listings asked for."""
    return [Path(row["outputdir"]) for row in db.rows(_SQL.outputdirs)]


def state_of(db: Database, safename: str, by: float) -> State | None:
    """Return the state of a product, unchanged since `by` (s UTC); None if it changed later or is unknown."""
    state = db.value(_SQL.state_of, safename=safename, by=by)
    return None if state is None else State(state)


def _transitions(db: Database) -> Iterator[Violation]:
    known = {(row["origin"], row["target"]) for row in db.rows(_SQL.transitions)}
    ours = {(origin.value, target.value) for origin, targets in TRANSITIONS.items() for target in targets}
    for origin, target in sorted(known ^ ours):
        which = "allows" if (origin, target) in known else "forbids"
        yield Violation(
            "transitions", f"{origin} -> {target}", f"the database {which} it, but cdsed does not", _REPORT_IT
        )
