"""An installation of cdsodatacli: its configuration, which points to a sandbox, and its directories."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cdsed.sandbox.accounts import SandboxAccount
from tests.support.sandbox import SandboxProcess


@dataclass
class Old:
    """An installation of cdsodatacli, as it was: ``localconfig.yml`` and its directories."""

    root: Path
    sandbox: SandboxProcess

    def write(self, groups: dict[str, Any] | None = None) -> Path:
        """Write the configuration; by default with the first account of the sandbox in ``logins``."""
        path = self.root / "localconfig.yml"
        conf = {
            "default_login": {"user1@example.org": "passwd1"},
            **(groups or {"logins": self.group(self.sandbox.accounts[0])}),
            "URL_download": "https://zipper.dataspace.copernicus.eu/odata/v1/Products(%s)/$value",
            "spools": {"default": str(self.root / "spool"), "other": str(self.root / "spool2")},
            "pre_spool": str(self.root / "pre_spool"),
            "archives": {"default": str(self.root / "archive")},
            "test_default_output_directory": str(self.root / "tests"),
            "s3_endpoint": self.sandbox.url,
            "s3_bucket": "eodata",
            "s3_region": "default",
            "list_sar_unit_private_data": ["S1E", "S1F"],
        }
        path.write_text(yaml.safe_dump(conf), encoding="utf-8")
        return path

    def conf(self) -> dict[str, Any]:
        """Return the configuration as a mapping, without the function under test."""
        conf: dict[str, Any] = yaml.safe_load(self.write().read_text(encoding="utf-8"))
        return conf

    @staticmethod
    def group(*accounts: SandboxAccount) -> dict[str, Any]:
        """Return a group of logins in the form of cdsodatacli."""
        return {
            f"{account.name}@example.org": {
                "cdse-psswd": "canary-password",
                "s3-access-key": account.access_key,
                "s3-secret": account.secret_key,
            }
            for account in accounts
        }

    def differences(self, path: Path) -> list[str]:
        """Return the files of a product on disk that differ from the sandbox's truth."""
        truth = self.sandbox.truth(path.name)
        files = {str(file.relative_to(path)): file for file in path.rglob("*") if file.is_file()}
        if path.is_file():
            files, truth = {"": path}, {"": next(iter(truth.values()))}
        assert files.keys() == truth.keys()
        return [name for name, file in files.items() if hashlib.md5(file.read_bytes()).hexdigest() != truth[name].md5]

    def prepare(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make its directories; everything that cdsed makes of its own stays below `root`, too."""
        config = self.root / "cdsed.yml"
        own = {name: self.root / name for name in ("state", "accounts.yml", "new", "inbox")}
        config.write_text(
            f"state_dir: {own['state']}\naccounts_file: {own['accounts.yml']}\nspools: [{own['new']}]\n"
            f"inbox: {{path: {own['inbox']}, stable_for_s: 0.2, scan_every_s: 0.5}}\n"
            f"catalogue: {{requests_per_s: 20}}\n"
            f"services: {{s3_url: {self.sandbox.url}, catalogue_url: {self.sandbox.catalogue_url},"
            f" identity_url: {self.sandbox.services['identity_url']}}}\n",
            encoding="utf-8",
        )
        monkeypatch.setenv("CDSED_CONFIG", str(config))
        monkeypatch.setenv("HOME", str(self.root))
        monkeypatch.setattr("tempfile.tempdir", str(self.root))
        for name in ("spool", "spool2", "pre_spool", "archive", "out"):
            (self.root / name).mkdir()
