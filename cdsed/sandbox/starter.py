"""The files with which you run cdsed against a sandbox: settings, accounts and a listing."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from cdsed.errors import UsageError
from cdsed.sandbox import identity, keysmanager, zipper
from cdsed.sandbox.accounts import SHAREABLE, SandboxAccount

_IN_ORDER = ("connections", "requests", "volume")
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
    accounts = list(accounts)
    lines = [_OURS, "groups:"]
    for organisation in dict.fromkeys(account.organisation for account in accounts):
        members = [account for account in accounts if account.organisation == organisation]
        lines += [f"  {organisation or 'default'}:", *_pool(members[0]), "    accounts:", *_members(members)]
    return "\n".join([*lines, ""])


def _pool(account: SandboxAccount) -> list[str]:
    """Return the lines of what an organisation shares."""
    if not account.shares:
        return []
    return [f"    shared: [{', '.join(account.shares)}]", *_limits(account, account.shares, indent=4)]


def _limits(account: SandboxAccount, quotas: Iterable[str], indent: int) -> list[str]:
    limits = {SHAREABLE[quota]: getattr(account, SHAREABLE[quota]) for quota in quotas}
    return [f"{' ' * indent}{name}: {value}" for name, value in limits.items() if value is not None]


def _members(accounts: Iterable[SandboxAccount]) -> list[str]:
    lines = []
    for account in accounts:
        lines += [
            f"      {account.name}:",
            f"        login: {account.user_name}",
            f"        s3_access_key: {account.access_key}",
            f"        s3_secret_key: {account.secret_key}",
        ]
        lines += [f'        password: "{account.password}"'] if account.password else []
        lines += _limits(account, (quota for quota in _IN_ORDER if quota not in account.shares), indent=8)
    return lines


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
