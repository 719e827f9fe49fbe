"""Download one listing in the foreground, by the real daemon: for `cdsed.api` and `cdsed.compat`.

The listing goes into the inbox. If a daemon runs, it does the work. Else this process starts one, which exits when the
inbox is empty. This process only watches. It may be killed: the progress is in the state.
"""

import contextlib
import logging
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cdsed.config.load import load_settings
from cdsed.config.settings import Settings
from cdsed.errors import CdsedError, ExitCode, InboxError, StateError
from cdsed.inbox.directory import put
from cdsed.model.listing import ListingOptions
from cdsed.model.product_state import Product
from cdsed.model.status_report import Tally
from cdsed.process.interpreter import module_command
from cdsed.process.lock import is_running
from cdsed.store import listings, products, snapshot
from cdsed.store.database import Database
from cdsed.view.progress import DownloadProgress, ProgressMeter
from cdsed.view.read import open_status
from cdsed.view.status_view import StatusView

_log = logging.getLogger(__name__)

IDLE_TIMEOUT_S = 600.0
_EVERY_S = 0.4
_POLL_S = 0.2
_LEAVE_WITHIN_S = 45.0
_LAST_WORDS = 15
_REFUSALS_MAX = 3
_ORDERLY = {ExitCode.OK, ExitCode.UNFINISHED, ExitCode.TEMPORARY}


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """What to download.

    Attributes
    ----------
    text
        A listing, in any form the inbox takes.
    safenames
        The products that the listing names, and whose results are returned.
    options
        Group, priority and output directory.
    idle_timeout_s
        Time without progress after which the download is given up.
    """

    text: str
    safenames: Sequence[str]
    options: ListingOptions
    idle_timeout_s: float


def download(
    config: Path,
    request: DownloadRequest,
    show: Callable[[DownloadProgress], None] | None,
    environ: Mapping[str, str],
) -> dict[str, Product]:
    """Download the products of a listing; return when all are finished, or after the idle timeout.

    Parameters
    ----------
    config
        The settings file.
    show
        Called with the progress about twice a second, and once at the end. What it raises ends the watching.
    environ
        The environment for a daemon, if one has to be started.

    Returns
    -------
    dict
        The products of the state by safename; a name that the inbox rejected is absent.

    Raises
    ------
    InboxError
        The inbox refused the listing as a whole, e.g. for a group that does not exist; the text says why.
    CdsedError
        The daemon failed; the text ends with the last lines of its log.
    """
    settings = load_settings(config, environ)
    name = _drop(settings, request)
    watch = _ProgressWatch(settings, name, request.idle_timeout_s, show)
    refused = 0
    while not watch.ended():
        if is_running(settings.state_dir):
            watch.until(lambda: not is_running(settings.state_dir))
            continue
        with _daemon(config, settings, request.idle_timeout_s, environ) as process:
            watch.until(lambda: process.poll() is not None)
            gave_up = process.poll() == ExitCode.UNFINISHED
        if gave_up:
            break
        refused += process.returncode == ExitCode.TEMPORARY  # another daemon started first: watch that one
        if process.returncode not in _ORDERLY or refused > _REFUSALS_MAX:
            raise CdsedError(f"the daemon ended with {process.returncode}; its log ends with:\n{_last_words(settings)}")
    with open_status(settings.state_dir) as (_view, db):
        return {} if db is None else dict(_results(db, request.safenames))


def _drop(settings: Settings, request: DownloadRequest) -> str:
    """Put the listing into the inbox, with a unique name and content; return the name."""
    number = uuid.uuid4().hex
    settings.inbox.path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cdsed-") as folder:
        listing = Path(folder, f"foreground-{number}.csv")
        listing.write_text(f"# {number}\n{request.text}", encoding="utf-8")
        return put(listing, settings.inbox.path, options=request.options).name


class _ProgressWatch:
    """Watches and shows the progress of one listing, until it is reported or the idle timeout is over."""

    def __init__(
        self, settings: Settings, name: str, idle_timeout_s: float, show: Callable[[DownloadProgress], None] | None
    ) -> None:
        self._settings = settings
        self._name = name
        self._idle_timeout_s = idle_timeout_s
        self._meter = ProgressMeter()
        self._call = show
        self._shown_s = 0.0
        self._moved = -1
        self._moved_s = time.monotonic()
        self._reported = False

    def ended(self) -> bool:
        """Tell whether the listing is reported, or the idle timeout is over."""
        if not self._reported:
            self._read()
        return self._reported or time.monotonic() - self._moved_s > self._idle_timeout_s

    def until(self, over: Callable[[], bool]) -> None:
        """Watch until the listing is reported, the idle timeout is over, or `over` returns True."""
        while not self.ended() and not over():
            time.sleep(_POLL_S)

    def _read(self) -> None:
        try:
            with open_status(self._settings.state_dir) as (view, db):
                if db is not None:
                    self._show(view, db)
        except StateError:
            _log.debug("the state cannot be read yet: the daemon may still create it")

    def _show(self, view: StatusView, db: Database) -> None:
        moved = snapshot.movement(db)
        if moved != self._moved:
            self._moved, self._moved_s = moved, time.monotonic()
        listing = listings.find(db, self._name)
        if listing is None:
            return
        if listing.state == "refused":
            raise InboxError(f"the inbox refused it: {listing.reason}")
        self._reported = listing.state == "reported"
        if self._call is None or (time.monotonic() - self._shown_s < _EVERY_S and not self._reported):
            return  # only the progress of the reported listing is always shown
        self._shown_s = time.monotonic()
        ours = {state: Tally(count) for state, count in snapshot.listing(db, listing.head.id).by_state.items()}
        self._call(self._meter.read(replace(view.report, products=ours)))


@contextmanager
def _daemon(
    config: Path, settings: Settings, idle_timeout_s: float, environ: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon that exits when the inbox is empty; at the end of the block it is stopped in any case."""
    settings.state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    command = module_command("cdsed", "run", "--once", "--config", str(config), "--idle-timeout", str(idle_timeout_s))
    with _log_path(settings).open("wb") as words:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, env=environ, stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True
        )
    try:
        yield process
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LEAVE_WITHIN_S)  # the daemon exits after the report
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(_LEAVE_WITHIN_S)


def _log_path(settings: Settings) -> Path:
    return settings.state_dir / "foreground.log"


def _last_words(settings: Settings) -> str:
    text = _log_path(settings).read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.rstrip().split("\n")[-_LAST_WORDS:])


def _results(db: Database, safenames: Sequence[str]) -> Iterator[tuple[str, Product]]:
    for safename in safenames:
        product = products.find(db, safename)
        if product is not None:
            yield safename, product
