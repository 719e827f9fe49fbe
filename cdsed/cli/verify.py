"""``cdsed verify``: compare what is on disk with its manifests again, here or on the workers of Dask."""

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.cli.choosing import NAMES_HELP
from cdsed.cli.commanding import check_owner
from cdsed.cli.listing import check_output, drop_stdout, say
from cdsed.errors import AlreadyRunning, ExitCode, MachineError, Stopped, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdsed.config.settings import Settings
    from cdsed.engine.calls import Calls
    from cdsed.verification.batch_wire import FoundProblem, RootMark, RunHead
    from cdsed.verification.progress_file import ProgressFile, RunTally
    from cdsed.verification.selection_walk import SelectionWalk

_FOLDER, _REPORT, _LOCK = "verify", "report.json", "lock"
#: What an interrupted run found right counts for so long.
_KEPT_S = 7 * 86400.0
_DRAW_EVERY_S, _WRITE_EVERY_S = 0.5, 30.0
_SHOWN = 20
#: A cluster whose workers start, or rest after a failure, is waited for so long; this process is not.
_PATIENCE_S = 150.0
_INTERRUPTED = 130  # as a shell reports SIGINT


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "verify",
        help="verify products on disk again: the digest of each file",
        description="Compare each product on disk with its manifest again: the digest of every file. Interrupted, it "
        "continues where it was. Writes a report. Exits with 1 when a product is wrong, absent or unreadable, and "
        "with 75 when no worker can verify.",
    )
    command.add_argument("names", nargs="*", metavar="PRODUCT|LISTING", help=f"{NAMES_HELP} (default: all on disk)")
    command.add_argument(
        "--engine", action="store_true", help="verify on the workers of Dask that engine.scheduler names"
    )
    command.add_argument("--restart", action="store_true", help="verify all again, also what an interrupted run has")
    command.add_argument("--output", type=Path, metavar="FILE", help="write the report here (default: below state_dir)")
    command.add_argument("--json", action="store_true", help="print the report; its member `schema` is 1")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Verify, and print what came of it.

    Returns
    -------
    int
        0; `ExitCode.UNFINISHED` when a product is wrong, absent or unreadable.

    Raises
    ------
    MachineError
        No worker can verify now, with `ExitCode.TEMPORARY`.
    """
    from cdsed.clock import SYSTEM_CLOCK
    from cdsed.config.load import load_settings
    from cdsed.process.lock import KernelLock
    from cdsed.verification.run_report import write_report
    from cdsed.verification.selection_walk import SelectionWalk, opened, root_marks

    if arguments.engine and find_spec("distributed") is None:
        raise UsageError("--engine needs more libraries; install cdsed[dask]")
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    check_output(arguments.output)
    settings = load_settings(arguments.config, os.environ)
    check_owner(settings.state_dir)
    with opened(settings.state_dir) as db:
        if db is None:
            raise UsageError(f"{settings.state_dir} has no state yet, so no product is known")
        chosen = _chosen(db, arguments.names)
        roots = root_marks(db, settings)
    folder = settings.state_dir / _FOLDER
    folder.mkdir(mode=0o750, exist_ok=True)
    report = arguments.output or folder / _REPORT
    lock = KernelLock(folder / _LOCK)
    if not lock.acquire():
        raise AlreadyRunning(f"another cdsed verify holds {lock.path}: wait for it, or stop it")
    progress = _progress(folder, arguments.names)
    try:
        walk = SelectionWalk(settings, chosen)
        sentences = _verify(arguments, settings, progress, walk, roots)
        write_report(report, progress, sentences, SYSTEM_CLOCK.utc_s())
        shown = list(islice((each for record in progress.records() for each in record.answer.problems), _SHOWN))
        progress.path.unlink()
    except MachineError as error:
        if progress.tally.products:
            say("what was verified is kept: start the same command again to continue")
        error.exit_code = ExitCode.TEMPORARY
        raise
    finally:
        lock.release()
    try:
        _print(arguments, progress.tally, shown, report)
        sys.stdout.flush()
    except BrokenPipeError:
        drop_stdout()
    return ExitCode.UNFINISHED if progress.tally.found else ExitCode.OK


def _chosen(db: Any, names: list[str]) -> list[int] | None:
    from cdsed.cli.choosing import choose

    return choose(db, names).every_product(db) if names else None


def _progress(folder: Path, names: list[str]) -> "ProgressFile":
    """Return the progress file of these names; drop old ones."""
    import hashlib

    from cdsed._version import __version__
    from cdsed.clock import SYSTEM_CLOCK
    from cdsed.verification.batch_wire import RunHead
    from cdsed.verification.progress_file import SCHEMA, ProgressFile

    now_s = SYSTEM_CLOCK.utc_s()
    for each in folder.glob("progress*.jsonl"):
        if now_s - each.stat().st_mtime > _KEPT_S:
            say("an interrupted run of more than a week ago is dropped")
            each.unlink()
    head = RunHead(SCHEMA, __version__, tuple(sorted(set(names))), now_s)
    which = f"-{hashlib.sha256(repr(head.names).encode()).hexdigest()[:16]}" if names else ""
    return ProgressFile(folder / f"progress{which}.jsonl", head)


def _verify(
    arguments: argparse.Namespace,
    settings: "Settings",
    progress: "ProgressFile",
    walk: "SelectionWalk",
    roots: "list[RootMark]",
) -> list[str]:
    """Verify what is left; return what was said of workers."""
    from cdsed.clock import iso
    from cdsed.verification.archive_run import ArchiveRun
    from cdsed.verification.progress_file import StampsByPosition
    from cdsed.view.wording import number, plural

    left = None if arguments.restart else _left(progress)
    before = StampsByPosition() if left is None else progress.verified()
    total, changed = 0, 0
    current = StampsByPosition()
    for each in walk.subjects():
        total += 1
        known = before.get(each.position)
        changed += known not in (0, each.stamp)
        if known == each.stamp:
            current.put(each.position, each.stamp)
    if not total:
        raise UsageError("none of these products is on disk" if arguments.names else "no product is on disk")
    if left is None:
        progress.begin()
    else:
        progress.keep(lambda position, stamp: current.get(position) == stamp)
        so_far = f"{number(progress.tally.products)} of {number(total)} products"
        say(f"an interrupted run has verified {so_far}: it continues what began {iso(left.begun_at)}")
        if changed:
            say(f"changed since, and verified again: {plural(changed, 'product')}")
    if progress.tally.products == total:
        return []
    to_do = walk.subjects(lambda each: current.get(each.position) != each.stamp)
    with _calls(arguments, settings) as calls, progress, _drawn(progress, total) as draw:
        patience_s = _PATIENCE_S if arguments.engine else 0.0
        work = ArchiveRun(calls, roots, to_do, progress, patience_s, say, look_again=walk.now)
        for _ in work.work():
            draw()
    if (fewer := total - progress.tally.products) > 0:
        say(f"no longer on disk, and not verified: {plural(fewer, 'product')}")
    return list(work.sentences)


def _left(progress: "ProgressFile") -> "RunHead | None":
    """Return what an interrupted run has verified, if this version has written it; else say so."""
    left = progress.left()
    if left is None or (left.schema, left.version, left.names) == (
        progress.head.schema,
        progress.head.version,
        progress.head.names,
    ):
        return left
    say("an interrupted run by another version of cdsed is dropped; this one begins with the first product")
    return None


@contextmanager
def _calls(arguments: argparse.Namespace, settings: "Settings") -> "Iterator[Calls]":
    from cdsed.engine.calls import CallsHere
    from cdsed.verification.judging import judge_batch

    with ExitStack() as stack:
        if arguments.engine:
            from cdsed.engine.dask_calls import DaskCalls

            # It would complain when this process ends at once.
            os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")
            cores = len(os.sched_getaffinity(0))
            scratch = settings.state_dir / _FOLDER / "dask"
            try:
                yield stack.enter_context(DaskCalls(settings.engine, cores, scratch, judge_batch))
            except KeyboardInterrupt:
                # Dask would wait for what its workers do. What was verified is on the disk, and workers that it has
                # started end with this process.
                os._exit(_INTERRUPTED)
            return
        stop = threading.Event()

        def pulse() -> None:
            if stop.is_set():
                raise Stopped("the command ends")

        here = CallsHere(partial(judge_batch, pulse=pulse))
        stack.callback(here.close)
        stack.callback(stop.set)
        yield here


@contextmanager
def _drawn(progress: "ProgressFile", total: int) -> "Iterator[Callable[[], None]]":
    """Yield a function that shows the progress on stderr: in place on a terminal, else a line now and then."""
    from cdsed.view.marks import bar
    from cdsed.view.terminal import Live
    from cdsed.view.wording import number, rate, size, span

    live, begun_s, before = Live(sys.stderr), time.monotonic(), progress.tally.products
    before_bytes = progress.tally.size_bytes
    on_terminal = live.canvas().width is not None
    every_s = _DRAW_EVERY_S if on_terminal else _WRITE_EVERY_S
    drawn_s = begun_s if not on_terminal else 0.0

    def draw() -> None:
        nonlocal drawn_s
        now_s = time.monotonic()
        if now_s - drawn_s < every_s:
            return
        drawn_s = now_s
        tally = progress.tally
        speed = (tally.size_bytes - before_bytes) / (now_s - begun_s)
        pace = (tally.products - before) / (now_s - begun_s)
        to_go = max(0, total - tally.products)  # the daemon may have added some
        words = [
            f"{number(tally.products)} of {number(total)} products",
            f"{number(tally.found.total())} not right",
            size(tally.size_bytes),
            rate(speed),
            f"ETA {span(to_go / pace) if pace else '-'}",
        ]
        line = f"{bar(tally.products, total)}  " if on_terminal else ""
        live.draw([live.canvas().marks(line + "  ".join(words))])

    try:
        yield draw
    finally:
        live.erase()
        sys.stderr.flush()


def _print(arguments: argparse.Namespace, tally: "RunTally", shown: "list[FoundProblem]", report: Path) -> None:
    import shutil

    from cdsed.verification.batch_wire import VerdictKind
    from cdsed.view.terminal import printable
    from cdsed.view.wording import number, plural, rate, size, span

    if arguments.json:
        with report.open(encoding="utf-8") as file:
            shutil.copyfileobj(file, sys.stdout)
        return
    for each in shown:
        print(printable(f"{each.finding}: {each.path} (seen by {each.node})"))
        for text in each.problems:
            print(printable(f"    {text}"))
    if tally.found.total() > _SHOWN:
        print(f"and {number(tally.found.total() - _SHOWN)} more: see the report")
    counts = [f"{number(tally.found[each])} {each}" for each in VerdictKind if tally.found[each]]
    speed = rate(tally.size_bytes / tally.ran_s) if tally.ran_s else "-"
    print(
        f"{plural(tally.products, 'product')}, {size(tally.size_bytes)}, in {span(tally.ran_s)} ({speed}): "
        + (", ".join([f"{number(tally.right)} right", *counts]) if counts else "all are right")
    )
    if len(tally.nodes) > 1:
        for name, node in sorted(tally.nodes.items()):
            print(printable(f"    {name}: {plural(node.products, 'product')}, {size(node.size_bytes)}"))
    print(f"report: {printable(str(report))}")
