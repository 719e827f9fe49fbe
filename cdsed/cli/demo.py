"""``cdsed demo``: show the main job from end to end on this machine, against the sandbox."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.errors import CdsedError, ExitCode, StateError, UsageError

if TYPE_CHECKING:
    import subprocess

    from cdsed.cli.demo_stage import Stage
    from cdsed.model.status_report import StatusReport

_LONGEST_S = 80.0
_EVERY_S, _EVERY_PIPED_S = 0.4, 3.0


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "demo",
        help="show the main job from end to end, without the internet",
        description="Start a sandbox and a daemon, drop a listing, show its progress and its report, and compare every "
        "file with its source. Exits with 0 only if every result is as expected.",
    )
    command.add_argument("directory", nargs="?", type=Path, metavar="DIR", help="run it here and keep all files")
    command.add_argument("--keep", action="store_true", help="keep the temporary directory")
    command.add_argument(
        "--cluster", action="store_true", help="let three workers of Dask on this machine have the connections"
    )
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo.

    Returns
    -------
    int
        0; raises `CdsedError` (1) with the differences when a result is not as expected.
    """
    import shlex
    import signal
    from importlib.util import find_spec

    from cdsed.cli.demo_stage import Stage
    from cdsed.cli.sandbox import check_installed

    check_installed("demo")
    if arguments.cluster and find_spec("distributed") is None:
        raise UsageError("the cluster needs more libraries; install cdsed[dask]")
    signal.signal(signal.SIGTERM, _interrupt)
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    with _directory(arguments) as directory:
        stage = Stage(directory, cluster=arguments.cluster)
        with stage.sandbox():
            _say(f"A simulated CDSE runs on this machine; all files are in {directory}.")
            stage.fill_archive()
            dropped = stage.drop_listing()
            _say(f"Dropped {dropped.name} into the inbox:", *dropped.read_text(encoding="utf-8").rstrip().split("\n"))
            _say("", "Two accounts with four sessions each; the key of the second has expired. `cdsed run --once`:")
            with stage.daemon() as process:
                exit_code = _watch(stage, process, _LONGEST_S * (3 if arguments.cluster else 1))
            _judge(stage, exit_code)
            for line in stage.fetched():
                _say(line)
        if arguments.directory or arguments.keep:
            quoted = shlex.quote(str(stage.config))
            _say(
                "",
                f"The products are in {stage.spool}, receipt and report in {stage.report_file('report.txt').parent}.",
                f"Look at it with  cdsed status --config {quoted}",
                f"            and  cdsed status --config {quoted} {dropped.name}",
            )
    return ExitCode.OK


@contextmanager
def _directory(arguments: argparse.Namespace) -> Iterator[Path]:
    """Yield the empty directory of the demo; a temporary one is removed at the end unless it is to be kept."""
    import tempfile

    if arguments.directory is None and not arguments.keep:
        with tempfile.TemporaryDirectory(prefix="cdsed-demo-") as name:
            yield Path(name)
        return
    directory = Path(arguments.directory or tempfile.mkdtemp(prefix="cdsed-demo-")).resolve()
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} is not an empty directory; name an empty one, or a new one")
    directory.mkdir(parents=True, exist_ok=True)
    yield directory


def _watch(stage: "Stage", process: "subprocess.Popen[bytes]", longest_s: float) -> int:
    """Show the progress of the daemon until it exits; return its exit code."""
    from subprocess import TimeoutExpired

    from cdsed.view.progress import ProgressLine
    from cdsed.view.terminal import Live

    live, progress = Live(sys.stdout), ProgressLine()
    every_s = _EVERY_PIPED_S if live.canvas().height is None else _EVERY_S
    shown: set[str] = set()
    until_s = time.monotonic() + longest_s
    while time.monotonic() < until_s:
        try:
            code = process.wait(every_s)
        except TimeoutExpired:
            code = None
        report = _report(stage)
        if report and report.products:
            live.erase()
            _show_errors(report, shown)
            live.draw(progress.lines(report, live.canvas()))
        if code is not None:
            return code
    raise CdsedError(f"the daemon is not ready after {longest_s:g} s{_log(stage)}")


def _report(stage: "Stage") -> "StatusReport | None":
    from cdsed.view.read import read_status

    try:
        return read_status(stage.state_dir).report
    except StateError:
        return None  # the daemon is still making its tables


def _show_errors(report: "StatusReport", shown: set[str]) -> None:
    for account in report.accounts:
        if account.error and account.probe_in_s is not None and account.name not in shown:
            shown.add(account.name)
            _say(f"{account.name}: {account.error}")
            _say("It backs off and is tried again later; no product is charged for it.")


def _judge(stage: "Stage", exit_code: int) -> None:
    """Show receipt and report, then compare results and files with what is expected."""
    from cdsed.cli.demo_check import compare, surprises

    for kind in ("receipt.txt", "report.txt"):
        if not stage.report_file(kind).exists():
            raise CdsedError(f"the listing has no {kind.partition('.')[0]}{_log(stage)}")
        _say("", stage.report_file(kind).read_text(encoding="utf-8").rstrip())
    identical, different = compare(stage)
    if wrong := [*surprises(stage, exit_code), *(f"differs from the source: {each}" for each in different)]:
        raise CdsedError("\n".join(["the results of the demo are not as expected:", *wrong]) + _log(stage))
    _say("", f"Compared with the sandbox: {identical} files byte-identical to the source, none differs.")


def _log(stage: "Stage") -> str:
    from cdsed.cli.demo_stage import last_words

    return f"\nthe last log lines of the daemon:\n{last_words(stage.log)}"


def _say(*lines: str) -> None:
    for line in lines:
        print(line)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
