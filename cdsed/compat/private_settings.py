"""The settings, accounts and state of a private daemon for one configuration of cdsodatacli.

The state is in the directory for temporary files, which is on a local disk and survives a crash: if you repeat the
call, it is resumed. When all products are finished, it is removed. The locks of sessions are there too, one set for all
configurations of this user, so that an account never has more connections than it may.
"""

import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdsed.compat import private_root
from cdsed.compat.configuration import logins, spools
from cdsed.compat.errors import ConfigKeyError
from cdsed.config.load import settings_or_defaults
from cdsed.config.private import replace_private
from cdsed.errors import ConfigError

_GROUP = "default"
_NOT_IN_ALIASES = re.compile(r"[^a-z0-9]+")
# Variables with which the private daemon would use another daemon's accounts, or notify systemd in its place.
_FOREIGN = frozenset({"CDSED_CONFIG", "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "NOTIFY_SOCKET", "JOURNAL_STREAM"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a call needs of a configuration.

    Attributes
    ----------
    group
        The group of accounts.
    outputdir
        Where products are to appear.
    search_disks
        Whether spools and archives are searched before anything is fetched.
    """

    conf: Mapping[str, Any]
    group: str
    outputdir: Path
    search_disks: bool


@dataclass(slots=True)
class Installation:
    """A private daemon: its settings file and state, and whether the state is of no more use."""

    config: Path
    state_dir: Path
    finished: bool = False


@contextmanager
def installation(wanted: Wanted) -> Iterator[Installation]:
    """Yield a daemon for this configuration; afterwards the copy of the accounts is deleted, and perhaps its state.

    Raises
    ------
    ConfigKeyError
        The group does not exist, or none of its logins can download.
    """
    accounts = _accounts(wanted)
    settings = _settings(wanted)
    text = json.dumps(settings, indent=1, sort_keys=True)  # JSON is YAML
    private_root.sweep(own_directory())
    path = own_directory() / hashlib.sha256(f"{wanted.group}\n{text}".encode()).hexdigest()[:16]
    settings |= {
        "state_dir": str(path / "state"),
        "runtime_dir": str(own_directory("sessions")),
        "inbox": {"path": str(path / "inbox"), "stable_for_s": 0.1, "scan_every_s": 0.5},
    }
    if pre_spool := wanted.conf.get("pre_spool"):
        settings["pre_spool"] = str(_absolute(pre_spool) / f".cdsed-{path.name}")  # each state needs its own
    with private_root.in_use(path) as root:
        root.note(settings["spools"], settings.get("pre_spool"))
        with tempfile.TemporaryDirectory(prefix="call-", dir=path) as call:
            config, accounts_file = Path(call, "cdsed.yml"), Path(call, "accounts.yml")
            settings["accounts_file"] = str(accounts_file)
            if proxy_url := settings_or_defaults(None, os.environ).services.proxy_url:  # may have a password
                settings["services"]["proxy_url"] = proxy_url.reveal()
            replace_private(config, json.dumps(settings, indent=1))
            replace_private(accounts_file, json.dumps(accounts))
            private = Installation(config, path / "state")
            yield private
        if private.finished:
            root.remove()


def environ() -> dict[str, str]:
    """Return this process's environment without the variables of another daemon."""
    return {name: value for name, value in os.environ.items() if name not in _FOREIGN}


def _settings(wanted: Wanted) -> dict[str, Any]:
    conf, places = wanted.conf, [wanted.outputdir]
    if wanted.search_disks:
        places += [_absolute(place) for place in spools(conf)]
    services = settings_or_defaults(None, os.environ).services.model_dump(mode="json", exclude={"proxy_url"})
    services |= {"s3_url": conf.get("s3_endpoint", services["s3_url"]), "s3_region": conf.get("s3_region", "default")}
    services |= {"s3_bucket": conf["s3_bucket"]} if conf.get("s3_bucket") else {}
    services |= {"identity_url": conf["URL_identity"]} if conf.get("URL_identity") else {}
    searched = (conf.get("archives") or {}).values() if wanted.search_disks else ()
    return {
        "spools": list(dict.fromkeys(map(str, places))),
        "archives": [{"root": str(_absolute(place))} for place in searched],
        "default_group": _GROUP,
        "services": services,
        "disk": {"free_bytes_min": 0},  # cdsodatacli filled the disk completely, too
    }


def _accounts(wanted: Wanted) -> dict[str, Any]:
    entries = {}
    for login, keys in logins(wanted.conf, wanted.group).items():
        names = {"password": "cdse-psswd", "s3_access_key": "s3-access-key", "s3_secret_key": "s3-secret"}
        entry = {ours: str(keys[theirs]) for ours, theirs in names.items() if keys.get(theirs)}
        if "s3_access_key" in entry:
            entry.pop("password", None)  # not needed, so not copied
        if entry:
            entries[alias(login)] = {"login": login, **entry}
    if not entries:
        raise ConfigKeyError([f"{wanted.group}: none of its logins has s3-access-key and s3-secret, or cdse-psswd"])
    return {"groups": {_GROUP: {"accounts": entries}}}


def alias(login: str) -> str:
    """Return a name for a login that is valid in file names; it is the same in every process."""
    readable = _NOT_IN_ALIASES.sub("-", login.partition("@")[0].lower()).strip("-")[:16]
    return f"{readable or 'account'}-{hashlib.sha256(login.encode()).hexdigest()[:6]}"


def _absolute(place: object) -> Path:
    return Path(os.path.abspath(str(place)))  # noqa: PTH100 - Path.resolve would follow links


def own_directory(name: str = "") -> Path:
    """Return a directory at or below this user's one for temporary files; refuse one that another user made."""
    base = Path(tempfile.gettempdir(), f"cdsed-compat-{os.geteuid()}")
    base.mkdir(mode=0o700, exist_ok=True)
    status = base.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise ConfigError([f"{base}: should be a directory that only this user may enter; remove it"])
    directory = base / name
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory
