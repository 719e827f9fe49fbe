"""The text of new settings and accounts files: commented, for the directories of one place."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cdsed.config.instance import MAIN, SYSTEM_DIR, is_of_the_system, places_of
from cdsed.config.schema import FileKind
from cdsed.frozen import frozen

_EXAMPLES = Path(__file__).parents[1] / "etc"  # of a wheel
_EXAMPLES_OF_A_CHECKOUT = Path(__file__).parents[2] / "etc"

_ACCOUNTS = """\
# The accounts of cdsed. Only the daemon's user may read this file: mode 0600.
# Put every login, password and key in quotes. Names of groups and accounts: small letters, digits, - and _.
# You need S3 keys, or a password with which cdsed makes temporary ones. You make S3 keys at
# https://eodata-s3keysmanager.dataspace.copernicus.eu/panel/s3-credentials
groups:
  {group}:
    # sessions: 4                     # connections at once, per account; other quotas: `cdsed config schema accounts`
    accounts:
      first:
        login: "put the login here"
        s3_access_key: "put the access key here"
        s3_secret_key: "put the secret key here"
        # s3_key_expires: 2027-01-31  # so that cdsed can warn you in time
        # password: "only without S3 keys, or for zip downloads"
"""


@frozen
class NewPlace:
    """The files and directories of a new daemon."""

    settings: Path
    accounts: Path
    state_dir: Path
    inbox: Path
    spools: tuple[Path, ...]
    pre_spool: Path | None = None
    archives: tuple[Path, ...] = ()
    group: str = "default"

    @property
    def directories(self) -> tuple[Path, ...]:
        """The directories that the daemon writes to."""
        return tuple(dict.fromkeys((self.state_dir, self.inbox, *self.spools, *filter(None, (self.pre_spool,)))))

    def values(self) -> dict[str, Any]:
        """Return the settings that name this place."""
        return {
            "state_dir": str(self.state_dir),
            "inbox": {"path": str(self.inbox)},
            "spools": [str(each) for each in self.spools],
            "pre_spool": str(self.pre_spool) if self.pre_spool else None,
            "archives": [{"root": str(each)} for each in self.archives],
            "accounts_file": str(self.accounts),
            "default_group": self.group,
        }


def usual_place(settings: Path | None, environ: Mapping[str, str], *, is_root: bool) -> NewPlace:
    """Return where a new daemon has its files: those of the system for root, else below the user's home.

    Parameters
    ----------
    settings
        The settings file, or None for the usual one.
    environ
        Its ``XDG_CONFIG_HOME``, ``XDG_STATE_HOME`` and ``HOME`` count.
    """
    home = Path(environ.get("HOME") or "/")
    if settings is None:
        config_home = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        settings = SYSTEM_DIR / "cdsed.yml" if is_root else config_home / "cdsed" / "cdsed.yml"
    settings = settings.absolute()
    if is_of_the_system(settings):
        places = places_of(settings)
        return NewPlace(settings, places.accounts_file, places.state_dir, places.inbox, (places.spool,))
    accounts = settings.with_name("accounts.yml")
    if is_root:
        return NewPlace(settings, accounts, MAIN.state_dir, MAIN.inbox, (MAIN.spool,))
    state_home = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state")
    return NewPlace(settings, accounts, state_home / "cdsed", home / "cdsed" / "inbox", (home / "cdsed" / "spool",))


def modeline(kind: FileKind) -> str:
    """Return the line by which the YAML language server finds the schema of a file."""
    return f"# yaml-language-server: $schema={kind.shipped}\n"


def settings_text(chosen: Mapping[str, Any]) -> str:
    """Return a commented settings file.

    Parameters
    ----------
    chosen
        The values to write. All other keys are comments with their defaults, so that a later cdsed may improve them.
    """
    folder = _EXAMPLES if _EXAMPLES.is_dir() else _EXAMPLES_OF_A_CHECKOUT
    head, *blocks = _blocks((folder / "cdsed.yml").read_text(encoding="utf-8"))
    head = re.sub(r"^# cdsed: settings\..*\n", _HEAD, head)
    parts = [modeline(FileKind.SETTINGS), head]
    for comment, key, body in blocks:
        parts.append(comment + (_block(key, chosen[key], body) if key in chosen else _commented(body)))
    rest = {key: value for key, value in chosen.items() if key not in {key for _, key, _ in blocks}}
    return "".join(parts) + (yaml_text(rest) if rest else "")


_HEAD = "# cdsed: settings. A key behind a # has its default; remove the # to change it.\n"


def accounts_text(group: str) -> str:
    """Return a commented accounts file with one account to fill in."""
    return modeline(FileKind.ACCOUNTS) + _ACCOUNTS.format(group=group)


def yaml_text(values: Mapping[str, Any]) -> str:
    """Return values as YAML, with every text in quotes that YAML would read as something else."""
    text: str = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, default_flow_style=False, width=120)
    return text


def _block(key: str, value: Any, body: str) -> str:
    """Return a chosen key; the keys of its section that are not chosen follow as comments."""
    others = [line for line in body.splitlines(keepends=True)[1:] if isinstance(value, dict)]
    left = "".join(line for line in others if line.strip().partition(":")[0] not in value)
    return yaml_text({key: value}) + _commented(left)


def _blocks(text: str) -> list[Any]:
    """Return the head of the example, then for each key of the first level its comment, its name and its lines."""
    head, *keys = re.split(r"(?m)^(?=\w+:)", text)
    found: list[Any] = [""]
    comment = head
    for lines in keys:
        body, trailing = _without_next_comment(lines)
        if len(found) == 1:
            found[0], comment = _last_paragraph(comment)
        found.append((comment, lines.partition(":")[0], body))
        comment = trailing
    return found


def _last_paragraph(text: str) -> tuple[str, str]:
    above, _, last = text.rpartition("\n\n")
    return f"{above}\n\n", last


def _without_next_comment(lines: str) -> tuple[str, str]:
    """Split what belongs to a key from the blank line and comment that introduce the next one."""
    body, blank, following = lines.partition("\n\n")
    return (f"{body}\n", f"\n{following}") if blank else (lines, "")


def _commented(body: str) -> str:
    return "".join(f"#{line}" for line in body.splitlines(keepends=True))
