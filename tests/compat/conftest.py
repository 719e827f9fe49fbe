"""A sandbox for the whole room, and a configuration of cdsodatacli that points to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cdsed.sandbox.accounts import Account
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
    def group(*accounts: Account) -> dict[str, Any]:
        """Return a group of logins in the form of cdsodatacli."""
        return {
            f"{account.name}@example.org": {
                "cdse-psswd": "canary-password",
                "s3-access-key": account.access_key,
                "s3-secret": account.secret_key,
            }
            for account in accounts
        }


@pytest.fixture(scope="package")
def service() -> Iterator[SandboxProcess]:
    with SandboxProcess(accounts=2) as sandbox:
        yield sandbox


@pytest.fixture
def old(service: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Old]:
    """Give an old installation; everything cdsed makes of its own lies below the test's directory, too."""
    config = tmp_path / "cdsed.yml"
    config.write_text(
        f"state_dir: {tmp_path / 'state'}\naccounts_file: {tmp_path / 'accounts.yml'}\nspools: [{tmp_path / 'new'}]\n"
        f"inbox: {{path: {tmp_path / 'inbox'}, rest_s: 0.2, scan_every_s: 0.5}}\n"
        f"catalogue: {{requests_per_s: 20}}\n"
        f"services: {{s3_url: {service.url}, catalogue_url: {service.catalogue_url},"
        f" identity_url: {service.services['identity_url']}}}\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("CDSED_CONFIG", str(config))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("spool", "spool2", "pre_spool", "archive", "out"):
        (tmp_path / name).mkdir()
    yield Old(tmp_path, service)
    service.clear_faults()
