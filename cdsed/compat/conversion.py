"""Converting a configuration of cdsodatacli to the settings and accounts of cdsed: `cdsed config import`."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cdsed.compat.configuration import logins
from cdsed.config.new_files import NewPlace
from cdsed.errors import ConfigError

_NOT_IN_NAMES = re.compile(r"[^a-z0-9_-]+")
_CREDENTIALS = {"cdse-psswd": "password", "s3-access-key": "s3_access_key", "s3-secret": "s3_secret_key"}
_SERVICES = {
    "s3_endpoint": "s3_url",
    "s3_region": "s3_region",
    "s3_bucket": "s3_bucket",
    "URL_identity": "identity_url",
}
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")  # another key may be a secret that is left of a colon by mistake
_PATHS = ("spools", "archives", "pre_spool")
_WITHOUT_COUNTERPART = {
    "default_login": "cdsed asks the catalogue without a login",
    "URL_download": "cdsed downloads over S3; for zips see services.download_url and transfer.zip_fallback",
    "list_sar_unit_private_data": "units in commissioning are found like others",
    "test_default_output_directory": "only the tests of cdsodatacli used it",
    "active_session_directory": "sessions are locked in runtime_dir",
    "token_directory": "tokens are in runtime_dir",
}


@dataclass(slots=True)
class Conversion:
    """What a configuration becomes.

    Attributes
    ----------
    settings, accounts
        The content of both files; `accounts` has secrets.
    taken
        For each key that was used, what it became; without secrets and logins.
    left_out
        For each other key, why it has no counterpart.
    missing
        What cdsed can use and the configuration does not have.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    accounts: dict[str, Any] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def convert(conf: Mapping[str, Any], place: NewPlace, group: str | None) -> Conversion:
    """Return the settings and accounts for a configuration of cdsodatacli.

    Parameters
    ----------
    conf
        What `cdsed.compat.configuration.read_localconfig` returns.
    place
        Names the files, the state and the inbox, which cdsodatacli did not have.
    group
        The group of accounts that becomes the default one; None: ``logins``, or else the first.

    Raises
    ------
    ConfigError
        It has no group of logins, or not the one that was named.
    """
    made = Conversion()
    names = _groups(conf, made)
    default = group or ("logins" if "logins" in names else next(iter(names), None))
    if default not in names:
        known = f"there are {', '.join(map(_shown, names))}" if names else "it has no group of logins"
        raise ConfigError([f"localconfig.yml has no group of accounts {default or 'logins'!r}: {known}"])
    place = replace(_placed(conf, place, made), group=names[default])
    services = {ours: str(conf[theirs]) for theirs, ours in _SERVICES.items() if conf.get(theirs)}
    made.settings = place.values() | ({"services": services} if services else {})
    made.taken |= {theirs: f"services.{ours}" for theirs, ours in _SERVICES.items() if conf.get(theirs)}
    for key in conf:
        if key not in made.taken:
            made.left_out.setdefault(_shown(key), _WITHOUT_COUNTERPART.get(str(key), "cdsed has no such setting"))
    made.missing += _missing(made, place)
    return made


def _placed(conf: Mapping[str, Any], place: NewPlace, made: Conversion) -> NewPlace:
    """Return the place with the directories of the configuration."""
    found: dict[str, Any] = {}
    for key in _PATHS:
        value = conf.get(key)
        if not value:
            continue
        members = [each for each in _members(value) if each is not None]
        given = [each for each in members if isinstance(each, str) and each]
        if not given or len(given) < len(members):
            raise ConfigError([f"{key} should be paths of directories in localconfig.yml; put them in quotes"])
        paths = tuple(dict.fromkeys(map(_absolute, given)))
        found[key] = paths[0] if key == "pre_spool" else paths
        relative = [each for each in given if not Path(each).is_absolute()]
        note = f" ({', '.join(relative)}: taken from this directory)" if relative else ""
        made.taken[key] = f"{key}: {', '.join(map(str, paths))}{note}"
        if unexpanded := [each for each in given if each.startswith("~") or "$" in each]:
            text = f"{key}: '~' and '$' stand for themselves in {', '.join(unexpanded)}, as in cdsodatacli"
            made.missing.append(f"{text}; if you meant another directory, correct it in {place.settings}")
    return replace(place, **found)


def _members(value: object) -> list[object]:
    """Return the items of a list or the values of a mapping; any other value alone."""
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else [value]


def _groups(conf: Mapping[str, Any], made: Conversion) -> dict[str, str]:
    """Fill the accounts; return the name in cdsed of each group that has an account."""
    names: dict[str, str] = {}
    groups: dict[str, Any] = {}
    seen: dict[str, str] = {}
    aliases: set[str] = set()
    for key in sorted(filter(lambda each: _is_group(conf, each), conf), key=lambda each: each == "default_login"):
        accounts = {}
        for login, keys in _logins(conf, key):
            if earlier := seen.get(login.strip().lower()):
                made.left_out[f"{key}.{earlier.rpartition('.')[2]}"] = f"the same login is {earlier} already"
                continue
            if key == "default_login":
                continue
            alias = _unique(_name_of(login.partition("@")[0], "account"), aliases)
            seen[login.strip().lower()] = f"{key}.{alias}"
            accounts[alias] = {"login": login, **_credentials(keys, alias)}
            made.missing += _half_a_pair(keys, alias)
        if accounts:
            names[key] = _unique(_name_of(key, "group"), set(groups))
            groups[names[key]] = {"accounts": accounts}
            made.taken[key] = f"group {names[key]}: account{'s' * (len(accounts) > 1)} {', '.join(accounts)}"
    made.accounts = {"groups": groups}
    return names


def _logins(conf: Mapping[str, Any], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the logins of a group; a bare password keeps its type."""
    for login, keys in logins(conf, key).items():
        parts = conf[key] if isinstance(conf[key], list) else [conf[key]]
        bare = next((part[each] for part in parts for each in part if str(each) == login), None)
        yield login, keys if isinstance(bare, dict) else {"cdse-psswd": bare}


def _is_group(conf: Mapping[str, Any], key: object) -> bool:
    """Tell whether a key has logins: its name says it, or one of its members has credentials."""
    value = conf[str(key)] if isinstance(key, str) else None
    if not isinstance(value, dict | list) or key in _PATHS:
        return False
    parts = [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, dict)]
    members = [each for part in parts for each in part.values()]
    has_keys = any(isinstance(each, dict) and each.keys() & _CREDENTIALS.keys() for each in members)
    return has_keys or ("login" in str(key) and bool(members))


def _credentials(keys: Mapping[str, Any], alias: str) -> dict[str, str]:
    for name in _CREDENTIALS.keys() & keys.keys():
        if keys[name] is not None and not isinstance(keys[name], str):  # YAML reads 0123 as 83: the text is lost
            raise ConfigError([f"account {alias}: {name} should be text; put it in quotes in localconfig.yml"])
    found = {ours: str(keys[theirs]) for theirs, ours in _CREDENTIALS.items() if keys.get(theirs)}
    pair = {"s3_access_key", "s3_secret_key"}
    if len(pair & found.keys()) == 1:  # one without the other is of no use, and the file would be refused
        return {name: value for name, value in found.items() if name not in pair}
    return found


def _half_a_pair(keys: Mapping[str, Any], alias: str) -> Iterator[str]:
    """Yield what an account lacks that has only one of the two S3 keys."""
    pair = {name: bool(keys.get(name)) for name in ("s3-access-key", "s3-secret")}
    if len(set(pair.values())) == 2:
        lacking, given = sorted(pair, key=lambda name: pair[name])
        yield f"account {alias}: {lacking}, without which its {given} was not taken"


def _missing(made: Conversion, place: NewPlace) -> Iterator[str]:
    yield f"state_dir and inbox.path: set to {place.state_dir} and {place.inbox}"
    for group in made.accounts["groups"].values():
        for alias, entry in group["accounts"].items():
            if "s3_access_key" in entry:
                yield f"account {alias}: s3_key_expires, without which cdsed cannot warn you before its S3 keys expire"
            elif "password" in entry:
                yield f"account {alias}: S3 keys; cdsed makes temporary ones with its password"
            else:
                yield f"account {alias}: S3 keys and password; it downloads nothing until you give it one of them"


def _shown(key: object) -> str:
    return str(key) if _PLAIN.fullmatch(str(key)) else "***"


def _absolute(place: object) -> Path:
    return Path(os.path.abspath(str(place)))  # noqa: PTH100 - Path.resolve would follow links


def _name_of(text: str, otherwise: str) -> str:
    return _NOT_IN_NAMES.sub("-", text.lower()).strip("-_")[:28] or otherwise


def _unique(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found
