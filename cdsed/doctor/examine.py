"""Everything that `cdsed doctor` looks at, in the order in which it matters."""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from cdsed.clock import Clock
from cdsed.config.accounts import Accounts, accounts_file, load_accounts
from cdsed.config.load import load_settings
from cdsed.config.locate import settings_file
from cdsed.config.settings import Settings
from cdsed.doctor.configured import check_keys, warnings_of_file
from cdsed.doctor.directories import WITHIN_S, check_directories
from cdsed.doctor.finding import Finding, fine, problem, remark
from cdsed.doctor.isolated import run_isolated
from cdsed.doctor.machine import check_machine
from cdsed.errors import ConfigError, StateError
from cdsed.process.lock import is_running
from cdsed.process.register import Register, register_dir
from cdsed.store.database import Database, open_read_only

_SEE = "correct the line, then run `cdsed config check`"


def examine(config: Path | None, environ: Mapping[str, str], clock: Clock, *, online: bool) -> Iterator[Finding]:
    """Yield every finding as it is made; nothing is changed.

    Parameters
    ----------
    config
        The settings file; None: the default search path.
    online
        Whether services are asked, too.
    """
    settings = None
    try:
        source = settings_file(config, environ)
    except ConfigError as error:
        yield from _config_problems("settings", error, "run `cdsed config init`")
    else:
        hung = _hung("settings", source)
        if hung is not None:
            yield hung
            return
        try:
            settings = load_settings(source, environ)
        except ConfigError as error:
            yield from _config_problems("settings", error, _SEE)
        else:
            yield from _settings(source, settings)
    if settings is None:
        yield from check_machine(Settings())
        return
    yield from _of_settings(settings, environ, clock, online=online)


def _of_settings(settings: Settings, environ: Mapping[str, str], clock: Clock, *, online: bool) -> Iterator[Finding]:
    places = list(check_directories(settings))
    state_hangs = any(each.check in ("mount", "state") and "respond" in each.text for each in places)
    accounts: Accounts | None = None
    for each in _accounts(settings, environ, clock):
        if isinstance(each, Accounts):
            accounts = each
        else:
            yield each
    yield from places
    yield from check_machine(settings)
    if not online:
        return
    from cdsed.doctor.services import check_services  # imported here: requests is not needed offline

    yield from check_services(settings, clock)
    if accounts is not None and not state_hangs:
        yield from _signed(settings, accounts, environ, clock)


def _settings(source: Path, settings: Settings) -> Iterator[Finding]:
    yield fine("settings", str(source), "are valid")
    for warning in warnings_of_file(source, settings):
        text, _, remedy = warning.removeprefix(f"{source}: ").partition("; run: ")
        yield remark("rights", str(source), text, "another user may change what cdsed does", remedy)


def _accounts(settings: Settings, environ: Mapping[str, str], clock: Clock) -> "Iterator[Finding | Accounts]":
    """Yield the findings about the accounts, and the accounts if they are valid."""
    path = accounts_file(settings, environ)
    hung = _hung("accounts", path)
    if hung is not None:
        yield hung
        return
    if _is_kept_by_root(path):
        text = "belongs to root, so it is not looked at; systemd passes it to the daemon"
        means = "a daemon that you start yourself cannot read it"
        yield remark("accounts", str(path), text, means, "run `sudo cdsed doctor`, which looks at it")
        return
    try:
        accounts = load_accounts(settings, environ)
    except ConfigError as error:
        yield from _config_problems("accounts", error, _SEE)
        return
    yield fine("accounts", str(path), f"are valid; accounts: {len(list(accounts))}, groups: {len(accounts.groups)}")
    yield from check_keys(accounts, settings, datetime.fromtimestamp(clock.utc_s(), UTC))
    yield accounts


def _is_kept_by_root(path: Path) -> bool:
    """Tell whether only root may read a file, as the accounts of a service: the unit has LoadCredential."""
    return os.geteuid() != 0 and _root_owns(path) and not os.access(path, os.R_OK)


def _root_owns(path: Path) -> bool:
    try:
        return path.stat().st_uid == 0
    except OSError:
        return False


def _hung(what: str, path: Path) -> Finding | None:
    """Return a finding if reading a file hangs; other errors are reported by those who read it."""
    if run_isolated({what: {"kind": "file", "path": str(path)}}, WITHIN_S)[what] is not None:
        return None
    means = "its disk or file server hangs; nothing that depends on it was looked at"
    return problem(
        "mount",
        str(path),
        f"the {what} cannot be read within {WITHIN_S:g} s",
        means,
        "look at the mount and its server",
    )


def _config_problems(check: str, error: ConfigError, remedy: str) -> Iterator[Finding]:
    for text in error.problems:
        # What follows a name such as s3_secret_key and a colon is taken for a secret, and not printed.
        sentence, _, command = text.replace(": should ", " should ").partition("; run: ")
        yield problem(check, "", sentence, "the daemon does not start", _remedy(sentence, command) or remedy)


def _remedy(sentence: str, command: str) -> str:
    """Return what mends a file that cannot be read; empty if it is a line of it."""
    if command:
        return f"run: {command}"
    if ": no such file" in sentence:
        return "correct the path, or run `cdsed config init`, which writes the file that is missing"
    if ": cannot be read" in sentence:
        return "correct the path or the rights, or run this as the daemon's user"
    return "correct this variable, or unset it" if sentence.startswith("$") else ""


def _signed(settings: Settings, accounts: Accounts, environ: Mapping[str, str], clock: Clock) -> Iterator[Finding]:
    from cdsed.doctor.signed_request import SignedRequests  # imported here: boto3 is not needed offline

    runs = is_running(settings.state_dir)
    try:
        db: Database | None = open_read_only(settings.state_dir, daemon_runs=runs)
    except (StateError, OSError):
        db = None  # the state has a finding of its own
    with closing(db) if db is not None else nullcontext():
        register = Register(register_dir(environ), os.getpid(), settings.state_dir)
        requests = SignedRequests(settings, db, register, clock, runs)
        yield from requests.check_all(accounts)
