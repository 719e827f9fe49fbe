"""A power cut leaves only what was synced. So: write, fsync, rename, fsync directories, commit, and then report.

Checked in traces of the real daemon and its workers.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cdsed.sandbox.names import realistic_safenames
from tests.support.campaign import KILL, Campaign, Injury
from tests.support.daemon import Installation
from tests.support.injection import CHANGES, Call, needs_strace, parse_trace, syscall_filter
from tests.support.sandbox import SandboxProcess

pytestmark = needs_strace

_WRITES = {"write", "writev", "pwrite64", "pwritev", "ftruncate", "sendfile", "copy_file_range"}
_SYNCS = {"fsync", "fdatasync"}
_RENAMES = {"rename", "renameat", "renameat2"}
_PAGE_BYTES = 5000  # of what is written strace shows so much: a page of SQLite and more
_LISTING = "one.txt"


class Order:
    """A traced run of the daemon: what was written, synced, renamed and committed, in its order."""

    def __init__(self, lab: Installation, calls: list[Call]) -> None:
        self.lab = lab
        self.calls = [call for call in calls if not call.failed]
        self.log = f"{lab.state}/cdsed.sqlite-wal"

    def rename_to(self, target: Path) -> Call:
        """Return the one rename under this name."""
        [found] = [call for call in self.calls if call.syscall in _RENAMES and call.paths[-1] == str(target)]
        return found

    def made(self, path: str, before: Call) -> int:
        """Return when a file or directory got its last byte or entry before a call; -1: never."""
        changes = [
            call.ended
            for call in self.calls
            if call.ended < before.begun
            and (
                (call.syscall in _WRITES and call.paths[0] == path)
                or (call.syscall in {"openat", "mkdir", "mkdirat", *_RENAMES} and call.changes and _enters(call, path))
            )
        ]
        return max(changes, default=-1)

    def is_synced(self, path: str, after: int, before: int) -> bool:
        """Tell whether a file or directory was synced, from beginning to end, between two places of the trace."""
        return any(
            _syncs(call, path, str(self.lab.root)) and after < call.begun and call.ended < before for call in self.calls
        )

    def committed(self, pattern: str) -> Call:
        """Return the first write to SQLite's log of a page that contains this."""
        sought = re.compile(pattern)
        return next(
            call
            for call in self.calls
            if call.syscall in _WRITES and call.paths[0] == self.log and sought.search(call.arguments)
        )

    def durable(self, commit: Call) -> int:
        """Return when the log was on the disk after a write to it."""
        return min(
            call.ended
            for call in self.calls
            if call.syscall in _SYNCS and call.paths[0] == self.log and call.begun > commit.ended
        )


def _syncs(call: Call, path: str, root: str) -> bool:
    """Tell whether a call syncs a file or directory: itself, or the whole file system of the installation."""
    if call.syscall == "syncfs":
        return call.paths[0].startswith(f"{root}/") and path.startswith(f"{root}/")
    return call.syscall in _SYNCS and call.paths[0] == path


def _enters(call: Call, directory: str) -> bool:
    return any(os.path.dirname(path) == directory for path in call.paths[-1:])  # noqa: PTH120 - a name, not a file


@dataclass(frozen=True, slots=True)
class Run:
    order: Order
    names: list[str]
    single: str
    single_dir: Path


def _traced(root: Path, **settings: str) -> Iterator[Run]:
    [many] = realistic_safenames("S1_OCN", 1, seed=5)
    [single] = realistic_safenames("S5P", 1, seed=5)
    with SandboxProcess(1) as sandbox:
        lab = Installation(root / "lab", sandbox, transfer={"piece_bytes": 2**20}, **settings)
        elsewhere = lab.spool / "2024" / "atmosphere"
        sandbox.add_products({"safename": many, "size_bytes": 2_500_000}, {"safename": single, "size_bytes": 500_000})
        lab.drop(_LISTING, [many])
        lab.drop("other.txt", [f"# cdsed: outputdir={elsewhere}", single])
        log = root / "trace"
        command = ["strace", "-f", "-y", "-s", str(_PAGE_BYTES), "--seccomp-bpf", "-o", str(log)]
        command += ["-e", f"trace={syscall_filter(CHANGES)}", sys.executable, "-m", "cdsed", "run", "--once"]
        done = subprocess.run(
            [*command, "--config", str(lab.config)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        assert lab.differences([many]) == []
        assert lab.differences([single], elsewhere) == []
        yield Run(Order(lab, parse_trace(log.read_text(encoding="utf-8", errors="replace"))), [many], single, elsewhere)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Give a run whose pre-spool is in the spool."""
    yield from _traced(tmp_path_factory.mktemp("beside"))


@pytest.fixture(scope="module")
def across(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Give a run whose pre-spool is on another file system than the spools."""
    root = tmp_path_factory.mktemp("across")
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="cdsed-pre-spool-") as pre_spool:
        if Path(pre_spool).stat().st_dev == root.stat().st_dev:
            pytest.skip("there is no second file system to copy from")
        yield from _traced(root, pre_spool=pre_spool)


@pytest.fixture(params=["beside", "across"])
def run(request: pytest.FixtureRequest) -> Run:
    """Give both."""
    found: Run = request.getfixturevalue(request.param)
    return found


def _published(run: Run) -> list[Path]:
    return [*(run.order.lab.spool / name for name in run.names), run.single_dir / run.single]


def test_every_byte_and_every_folder_of_a_product_is_on_the_disk_before_its_rename(run: Run) -> None:
    order = run.order
    for final in _published(run):
        rename = order.rename_to(final)
        source = rename.paths[0]
        things = {source} | {
            path
            for call in order.calls
            if call.ended < rename.begun and call.changes and not call.syscall.startswith(("unlink", "rmdir"))
            for path in call.paths
            if path.startswith(f"{source}/")
        }
        assert len(things) >= (1 if final.name == run.single else 16), things
        late = [path for path in things if not order.is_synced(path, order.made(path, rename), rename.begun)]
        assert late == [], f"not synced before {final.name} appears"


def test_both_directories_of_the_rename_are_on_the_disk_before_done_is_committed(run: Run) -> None:
    order = run.order
    for final in _published(run):
        rename, commit = order.rename_to(final), order.committed(str(final))
        assert rename.ended < commit.begun
        for directory in {str(Path(path).parent) for path in rename.paths}:
            assert order.is_synced(directory, rename.ended, commit.begun), (
                f"{directory} is not synced before the commit"
            )


def test_new_directories_are_synced_before_their_contents_are_committed(run: Run) -> None:
    order = run.order
    commits = {run.single_dir: run.single_dir / run.single}
    commits |= {order.lab.inbox / ".accepted": order.lab.inbox / ".accepted" / "other.txt"}
    for directory, thing in commits.items():
        commit = order.committed(str(thing))
        made = [
            call
            for call in order.calls
            if call.syscall in {"mkdir", "mkdirat"}
            and directory.is_relative_to(call.paths[-1])
            and Path(call.paths[-1]).is_relative_to(order.lab.root)
        ]
        assert made, f"{directory} was there before"
        for call in made:
            parent = str(Path(call.paths[-1]).parent)
            assert order.is_synced(parent, call.ended, commit.begun), f"{call.paths[-1]} may vanish from {parent}"


def test_done_is_on_the_disk_before_it_is_reported(run: Run) -> None:
    order = run.order
    for final, listing in zip(_published(run), (_LISTING, "other.txt"), strict=True):
        durable = order.durable(order.committed(str(final)))
        for suffix in ("json", "txt"):
            assert durable < order.rename_to(order.lab.inbox / ".accepted" / f"{listing}.report.{suffix}").begun


@pytest.mark.parametrize(("report_file", "row"), [("receipt", "accepted/one.txt"), ("report", r"one.txt\w*reported")])
def test_a_report_is_synced_before_it_appears_and_its_name_before_the_commit(
    beside: Run, report_file: str, row: str
) -> None:
    order = beside.order
    accepted = order.lab.inbox / ".accepted"
    for suffix in ("json", "txt"):
        rename = order.rename_to(accepted / f"{_LISTING}.{report_file}.{suffix}")
        assert order.is_synced(rename.paths[0], order.made(rename.paths[0], rename), rename.begun)
        assert order.is_synced(str(accepted), rename.ended, order.committed(row).begun)


def test_a_listing_is_moved_for_good_before_the_state_says_where_it_is(beside: Run) -> None:
    order = beside.order
    for folder in (".taking", ".accepted"):
        target = order.lab.inbox / folder / _LISTING
        rename = order.rename_to(target)
        for directory in {str(Path(path).parent) for path in rename.paths}:
            assert order.is_synced(directory, rename.ended, order.committed(f"{folder}/{_LISTING}").begun)


def test_the_content_of_a_listing_is_on_the_disk_before_it_is_taken(run: Run) -> None:
    order = run.order
    taken = order.rename_to(order.lab.inbox / ".taking" / _LISTING)
    assert order.is_synced(str(order.lab.inbox / _LISTING), after=-1, before=taken.begun)


def test_no_session_notes_bytes_that_are_not_on_the_disk(run: Run) -> None:
    order = run.order
    dirty: dict[int, set[str]] = {}
    notes = 0
    for call in order.calls:
        staged = (".cdsed/" in call.paths[0] or "pre-spool" in call.paths[0]) and "/owners/" not in call.paths[0]
        unsynced = dirty.setdefault(call.pid, set())
        if call.syscall == "pwrite64" and staged:
            unsynced.add(call.paths[0])
        elif call.syscall in {*_SYNCS, "syncfs"}:
            unsynced -= {path for path in unsynced if _syncs(call, path, str(order.lab.root))}
        elif call.syscall == "pwrite64" and call.paths[0] == order.log:
            notes += 1
            assert unsynced == set(), f"{unsynced} were noted as arrived"
    assert notes > 100


def test_what_people_see_changes_only_after_a_commit_that_cannot_be_lost(beside: Run) -> None:
    """In staging a product may be ahead of the state: what a power cut loses there is planned and fetched again."""
    order = beside.order
    pending: set[int] = set()
    seen = (f"{order.lab.spool}/", f"{order.lab.inbox}/")
    commits = 0
    for call in order.calls:
        if call.paths[0] == order.log:
            commits += call.pid in pending and call.syscall in _SYNCS
            (pending.discard if call.syscall in _SYNCS else pending.add)(call.pid)
        elif call.changes and call.paths[-1].startswith(seen) and "/.cdsed/" not in call.paths[-1]:
            if call.syscall in {"mkdir", "mkdirat", *_SYNCS}:  # an empty directory, made before the product is planned
                continue
            assert call.pid not in pending, f"{call.syscall} {call.paths} before the commit was synced"
    assert commits > 10


def test_a_product_whose_worker_died_before_its_directory_was_synced_is_not_called_done_unsynced(
    tmp_path: Path,
) -> None:
    with Campaign(tmp_path, "S1_OCN", size_bytes=500_000, walkers=1) as campaign:
        [late] = [point for point in campaign.points if point.syscall == "fsync" and point.path == "spool"]
        calls = campaign.restarted_after(Injury(late, KILL))
    reported_at = next(
        call.begun for call in calls if call.syscall in _RENAMES and call.paths[-1].endswith(".report.json")
    )
    synced = {Path(call.paths[0]).name for call in calls if call.syscall == "fsync" and call.ended < reported_at}
    assert synced >= {"spool", ".cdsed"}


def test_a_listing_whose_taker_died_before_its_move_was_synced_is_not_entered_unsynced(tmp_path: Path) -> None:
    with Campaign(tmp_path, "S5P", size_bytes=1000, walkers=1) as campaign:
        late = next(point for point in campaign.points if point.syscall == "fsync" and point.path == "inbox/.taking")
        calls = campaign.restarted_after(Injury(late, KILL))
    moved_on = next(call.begun for call in calls if call.syscall in _RENAMES and call.paths[-1].endswith("/one.txt"))
    assert ".taking" in {
        Path(call.paths[0]).name for call in calls if call.syscall == "fsync" and call.ended < moved_on
    }
