"""The rules that a state must follow whatever happened to the daemon, and what breaks them.

`rules_broken` judges the database by itself, in one read transaction, so that a daemon at work is never caught in
the middle of something. What concerns processes and disks is only read here; `cdsed.work.checking` compares.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cdsed.model.listing import Counts, LineVerdict
from cdsed.model.product_state import TRANSITIONS, State
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("audit")

MOST = 20
"""So many breaches of one rule are told; the first few show what went wrong."""

_REPORT_IT = "this is an error in cdsed: please report it; `cdsed state rebuild` makes a new state"


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule broken by one thing.

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


@dataclass(frozen=True, slots=True)
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
        "its history says {origin} -> {target} where it stood at {before}; no such step is allowed there",
    ),
    _AuditRule(
        "history",
        _SQL.history_ends_elsewhere,
        "{safename}",
        r"it is {state}, and its history ends with \{recorded} instead",
    ),
    _AuditRule("fence", _SQL.fence_ahead, "{name}", "its fence {fence} is ahead of the counter, {value}"),
    _AuditRule("fence", _SQL.fence_shared, "{sessions}", "these sessions share the fence {fence}"),
    _AuditRule(
        "piece", _SQL.piece_of_nobody, "{safename}", "its piece {piece} is held under fence {fence}, which no lease has"
    ),
    _AuditRule("claim", _SQL.claim_of_nobody, "{name}", "it is held by process {process}, which is not entered"),
    _AuditRule(
        "pieces",
        _SQL.object_cut_wrongly,
        "{safename}",
        "the pieces of {path} make {pieces_bytes} bytes instead of {size_bytes}",
    ),
    _AuditRule(
        "tally",
        _SQL.miscounted,
        "listing {listing}, {state}",
        r"the tally says \{recorded} products of \{recorded_bytes} bytes, and there are {counted} of {counted_bytes}",
    ),
    _AuditRule(
        "sums",
        _SQL.lines_and_verdicts,
        "listing {name}",
        "of {items_taken} lines {verdicts} have a verdict; {named} named a product and {wants} are noted; "
        "{remarked} need a remark and {remarks} have one",
    ),
)


@dataclass(frozen=True, slots=True)
class LivenessProof:
    """A worker's row, or a lease, and the flock that proves that its holder lives."""

    rule: str
    subject: str
    lock: Path


@dataclass(frozen=True, slots=True)
class TakenListing:
    """A listing that was taken: what its receipt has to say, and where it lies."""

    id: int
    name: str
    open: bool
    path: Path
    items_taken: int
    counts: Counts


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A product that the state says lies whole at ``path``; there may be millions, so nothing is converted."""

    position: int
    safename: str
    state: str
    path: str


def rules_broken(db: Database) -> list[Violation]:
    """Return what is wrong in the database by itself, at most `MOST` breaches of each rule."""
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
    """Return everything that a living process must stand behind."""
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
    """Tell whether the last daemon noted its end; one that runs or died has not."""
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
    """Yield every product that is done or present, by number."""
    for row in db.stream(_SQL.on_disk):
        yield OnDisk(**row)


def newest(db: Database) -> int:
    """Return the highest number of a product, 0 where there is none."""
    return int(db.value(_SQL.newest) or 0)


def outputdirs(db: Database) -> list[Path]:
    """Return the output directories that listings asked for."""
    return [Path(row["outputdir"]) for row in db.rows(_SQL.outputdirs)]


def state_of(db: Database, safename: str, by: float) -> State | None:
    """Return where a product has stood since `by` (UTC s); None if it moved later, or was never asked for."""
    state = db.value(_SQL.state_of, safename=safename, by=by)
    return None if state is None else State(state)


def _transitions(db: Database) -> Iterator[Violation]:
    known = {(row["origin"], row["target"]) for row in db.rows(_SQL.transitions)}
    ours = {(origin.value, target.value) for origin, targets in TRANSITIONS.items() for target in targets}
    for origin, target in sorted(known ^ ours):
        which = "allows" if (origin, target) in known else "forbids"
        yield Violation(
            "transitions", f"{origin} -> {target}", f"the database {which} it, and cdsed does not", _REPORT_IT
        )
