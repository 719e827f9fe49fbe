"""The states of a product, the transitions that are allowed, and its record.

`TRANSITIONS` is the one table of transitions. The database refuses any other: a trigger compares with its own copy of
the table, and a test checks that the copies are equal. ``docs/states.md`` is generated from `TRANSITIONS`.
"""

from enum import StrEnum

from cdsed.frozen import frozen


class State(StrEnum):
    """The state of a product."""

    QUEUED = "queued"
    RESOLVING = "resolving"
    READY = "ready"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    RETRY_WAIT = "retry_wait"
    DONE = "done"
    ALREADY_PRESENT = "already_present"
    UNAVAILABLE = "unavailable"
    CORRUPT = "corrupt"
    FAILED = "failed"
    CANCELLED = "cancelled"


#: A product in one of these states is finished: it stays so until you ask for it again.
TERMINAL = frozenset(
    {State.DONE, State.ALREADY_PRESENT, State.UNAVAILABLE, State.CORRUPT, State.FAILED, State.CANCELLED}
)

#: Finished, and on disk.
SUCCEEDED = frozenset({State.DONE, State.ALREADY_PRESENT})

#: Finished, and not on disk although nothing but a failure prevents it.
FAILURES = frozenset({State.UNAVAILABLE, State.CORRUPT, State.FAILED})

TRANSITIONS: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RESOLVING, State.ALREADY_PRESENT, State.CANCELLED}),
    State.RESOLVING: frozenset({State.QUEUED, State.READY, State.UNAVAILABLE, State.RETRY_WAIT}),
    State.READY: frozenset({State.DOWNLOADING, State.FAILED, State.CANCELLED}),
    State.DOWNLOADING: frozenset(
        {
            State.QUEUED,  # its path is wrong: ask the catalogue
            State.READY,
            State.VERIFYING,
            State.RETRY_WAIT,
            State.ALREADY_PRESENT,
            State.UNAVAILABLE,
            State.FAILED,
            State.CANCELLED,
        }
    ),
    State.VERIFYING: frozenset(
        {
            State.DONE,
            State.DOWNLOADING,
            State.RETRY_WAIT,
            State.ALREADY_PRESENT,
            State.CORRUPT,
            State.FAILED,
            State.CANCELLED,
        }
    ),
    State.RETRY_WAIT: frozenset({State.QUEUED, State.READY, State.CANCELLED}),
    # Asked for again by a later listing:
    State.DONE: frozenset({State.QUEUED}),
    State.ALREADY_PRESENT: frozenset({State.QUEUED}),
    State.UNAVAILABLE: frozenset({State.QUEUED}),
    State.CORRUPT: frozenset({State.QUEUED}),
    State.FAILED: frozenset({State.QUEUED}),
    State.CANCELLED: frozenset({State.QUEUED}),
}


class PathSource(StrEnum):
    """Where the path of a product comes from; only the path of the catalogue is final."""

    LISTING = "listing"
    NAME = "name"
    CATALOGUE = "catalogue"


@frozen
class Product:
    """One row of the product table, with the columns that the work on it needs.

    ``attempts`` are failures charged to the product; ``transient_failures`` those that it was not charged for.
    ``planned`` says that its objects are known and that sessions may join it. ``replaces`` is the published copy that
    it replaces when it is verified, and ``replaces_inode`` identifies that copy. ``layout`` and ``choice`` are texts of
    `Layout` and `Choice`. ``partial`` says that only a part of it is in transfer or on disk.
    """

    id: int
    safename: str
    state: State
    account_group: str
    priority: int
    outputdir: str | None
    product_id: str | None
    s3_path: str | None
    path_source: PathSource | None
    md5: str | None
    size_bytes: int | None
    attempts: int
    transient_failures: int
    planned: bool
    destination: str | None
    staging: str | None
    path: str | None
    cause: str | None
    fence: int | None
    replaces: str | None = None
    replaces_inode: int | None = None
    layout: str | None = None
    choice: str | None = None
    partial: bool = False

    @property
    def below(self) -> str:
        """Where its layout puts it, relative to its destination; ValueError: its name lacks a field of the layout."""
        if self.layout is None:
            return ""
        from cdsed.model.layout import ProductLayout  # the families of names are half of what `cdsed status` would load
        from cdsed.model.safename import parse

        return ProductLayout.parse(self.layout).below(parse(self.safename))

    @property
    def final_below(self) -> str:
        """The same as it is planned: a product that is fetched in part has a directory of its own."""
        if not self.partial:
            return self.below
        from cdsed.model.layout import PARTIAL

        return f"{PARTIAL}/{self.below}".rstrip("/")

    def top_of(self, path: str) -> str | None:
        """Return the destination of which `path` is the place for the product; None: its layout has another one."""
        folder = path.rpartition("/")[0]
        try:
            below = self.final_below
        except ValueError:
            return None
        if not below:
            return folder
        return folder.removesuffix(f"/{below}") if folder.endswith(f"/{below}") else None


def diagram() -> str:
    """Return the transitions as a Mermaid state diagram, for ``docs/states.md``."""
    lines = ["stateDiagram-v2", "    [*] --> queued", f"    [*] --> {State.ALREADY_PRESENT}"]
    for origin, targets in TRANSITIONS.items():
        lines += [f"    {origin} --> {target}" for target in sorted(targets)]
    lines += [f"    {state} --> [*]" for state in sorted(TERMINAL)]
    return "\n".join(lines) + "\n"
