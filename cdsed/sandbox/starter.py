"""The files with which you run cdsed against a sandbox: settings, accounts and a listing."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from cdsed.errors import UsageError
from cdsed.sandbox import identity, keysmanager, zipper
from cdsed.sandbox.accounts import SandboxAccount

_OURS = "# Written by `cdsed sandbox --write`, which may replace it."


def settings_yaml(url: str, directory: Path) -> str:
    """Return settings of cdsed for the sandbox at `url`, with everything else below `directory`."""
    return (
        f"{_OURS}\n"
        f"state_dir: {_quoted(directory / 'state')}\n"
        f"inbox: {{path: {_quoted(directory / 'inbox')}, stable_for_s: 1, scan_every_s: 1}}\n"
        f"spools: [{_quoted(directory / 'spool')}]\n"
        f"accounts_file: {_quoted(directory / 'accounts.yml')}\n"
        "default_group: default\n"
        "disk: {free_bytes_min: 0}\n"
        "services:\n"
        f"  s3_url: {url}\n"
        "  s3_region: default\n"
        f"  catalogue_url: {url}/odata/v1\n"
        f"  identity_url: {url}{identity.PATH}\n"
        f"  keys_manager_url: {url}{keysmanager.PATH}\n"
        f"  download_url: {url}{zipper.DOWNLOAD_PATH}\n"
    )


def accounts_yaml(accounts: Iterable[SandboxAccount]) -> str:
    """Return the accounts file of cdsed for the accounts of a sandbox; these keys are not secret."""
    lines = [_OURS, "groups:", "  default:", "    accounts:"]
    for account in accounts:
        limits = {
            "sessions": account.sessions,
            "requests_per_minute": account.requests_per_minute,
            "volume_bytes": account.volume_bytes,
        }
        lines += [
            f"      {account.name}:",
            f"        login: {account.user_name}",
            f"        s3_access_key: {account.access_key}",
            f"        s3_secret_key: {account.secret_key}",
        ]
        lines += [f'        password: "{account.password}"'] if account.password else []
        lines += [f"        {name}: {value}" for name, value in limits.items() if value is not None]
    return "\n".join([*lines, ""])


def write_starter(directory: Path, url: str, accounts: Sequence[SandboxAccount], safenames: Iterable[str]) -> None:
    """Write ``cdsed.yml``, ``accounts.yml`` (mode 0600) and ``listing.txt`` into `directory`.

    Raises
    ------
    UsageError
        The directory already has settings or accounts that are not those of a sandbox.
    """
    directory = directory.resolve()
    for name in ("cdsed.yml", "accounts.yml"):
        path = directory / name
        if path.exists() and _OURS not in path.read_text(encoding="utf-8", errors="replace"):
            raise UsageError(f"{path} is not a sandbox's; name an empty directory")
    for folder in (directory, directory / "state", directory / "inbox", directory / "spool"):
        folder.mkdir(parents=True, exist_ok=True)
    (directory / "cdsed.yml").write_text(settings_yaml(url, directory), encoding="utf-8")
    _write_private(directory / "accounts.yml", accounts_yaml(accounts))
    with (directory / "listing.txt").open("w", encoding="utf-8") as listing:
        listing.writelines(f"{safename}\n" for safename in safenames)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)  # other users may have an older file open
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _quoted(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)  # a JSON string is a YAML string
