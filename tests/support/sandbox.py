"""A sandbox as a real process, for the tests of every package.

>>> with SandboxProcess(accounts=2) as sandbox:
...     sandbox.add_products({"safename": name, "size_bytes": 1_000_000})
...     sandbox.fault(kind="reset", key="Sentinel-1", times=1, after_bytes=1000)
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

from cdsed.sandbox import identity, keysmanager, zipper
from cdsed.sandbox.accounts import SandboxAccount, make_accounts
from cdsed.sandbox.products import Truth

_ROOT = Path(__file__).resolve().parents[2]


class SandboxProcess:
    """``python -m cdsed.sandbox`` on a free port, answering from entry to exit.

    Parameters
    ----------
    accounts
        How many accounts, or the accounts themselves.
    bandwidth_bytes_per_s
        Of each connection of accounts given by number; None: unlimited.
    seed
        Decides keys and contents.
    port
        Where a sandbox that was stopped is to come back; 0 takes a free one.
    """

    def __init__(
        self,
        accounts: int | Sequence[SandboxAccount] = 1,
        *,
        bandwidth_bytes_per_s: int | None = None,
        seed: int = 1,
        port: int = 0,
    ) -> None:
        if isinstance(accounts, int):
            accounts = make_accounts(accounts, seed, bandwidth_bytes_per_s)
        self.accounts = list(accounts)
        self.seed = seed
        self.port = port
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Return the number of the process."""
        assert self._process is not None, "start it first"
        return self._process.pid

    @property
    def catalogue_url(self) -> str:
        """Return what ``services.catalogue_url`` of the settings has to be."""
        return f"{self.url}/odata/v1"

    @property
    def services(self) -> dict[str, str]:
        """Return the addresses that ``services`` of the settings has to have."""
        return {
            "s3_url": self.url,
            "catalogue_url": self.catalogue_url,
            "identity_url": f"{self.url}{identity.PATH}",
            "keys_manager_url": f"{self.url}{keysmanager.PATH}",
            "download_url": f"{self.url}{zipper.DOWNLOAD_PATH}",
        }

    def rules(self, **rules: float) -> None:
        """Change limits of the identity service and the keys manager (the fields of `Rules`)."""
        self.call("POST", "rules", rules)

    def start(self, deadline_s: float = 30) -> Self:
        """Start the process and wait until it answers."""
        with tempfile.TemporaryDirectory(prefix="sandbox-") as folder:
            accounts_file, ready_file = Path(folder, "accounts.json"), Path(folder, "ready.json")
            accounts = [asdict(account) for account in self.accounts]
            accounts_file.write_text(json.dumps(accounts, default=str), encoding="utf-8")
            command = [
                sys.executable,
                "-m",
                "cdsed.sandbox",
                "--port",
                str(self.port),
                "--seed",
                str(self.seed),
            ]
            command += ["--accounts-file", str(accounts_file), "--ready-file", str(ready_file)]
            environ = {**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONFAULTHANDLER": "1"}
            self._process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
            until = time.monotonic() + deadline_s
            while not ready_file.exists():
                if self._process.poll() is not None or time.monotonic() > until:
                    code = self._process.poll()
                    self.stop()
                    raise RuntimeError(f"the sandbox is not ready after {deadline_s} s (exit code {code})")
                time.sleep(0.01)
            self.url = json.loads(ready_file.read_text(encoding="utf-8"))["url"]
            self.port = urlsplit(self.url).port or 0
        return self

    def stop(self, deadline_s: float = 60) -> int | None:
        """End the process with SIGTERM; return its exit code. One that hangs prints the stacks of its threads."""
        if self._process is None:
            return None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)
            self._process.wait(10)
            raise
        finally:
            self._process.kill()
            self._process.wait()
            self._process = None

    def add_products(self, *products: dict[str, Any]) -> dict[str, str]:
        """Give it products (the fields of `ProductSpec`); return the S3 path of each safename."""
        paths: dict[str, str] = self.call("POST", "products", list(products))["products"]
        return paths

    def fault(self, **fault: Any) -> int:
        """Set a fault (the fields of `Fault`); return its id."""
        number: int = self.call("POST", "faults", [fault])["ids"][0]
        return number

    def clear_faults(self, number: int | None = None) -> None:
        """Remove one fault, or all."""
        self.call("DELETE", "faults" if number is None else f"faults/{number}")

    def counters(self) -> dict[str, Any]:
        """Return ``accounts``, ``keys``, ``faults`` and ``odata_requests``."""
        counters: dict[str, Any] = self.call("GET", "counters")
        return counters

    def bytes_sent(self) -> int:
        """Return how many bytes of bodies all accounts have got."""
        return sum(account["bytes"] for account in self.counters()["accounts"].values())

    def reset_counters(self) -> None:
        """Begin to count again."""
        self.call("POST", "counters/reset")

    def requests(self, limit: int = 20_000) -> list[dict[str, Any]]:
        """Return the last requests, the newest last."""
        requests: list[dict[str, Any]] = self.call("GET", f"requests?limit={limit}")["requests"]
        return requests

    def truth(self, safename: str) -> dict[str, Truth]:
        """Return size and MD5 of every file of a product, by its path in it."""
        objects = self.call("GET", f"truth/{quote(safename)}")["objects"]
        return {item["path"]: Truth(item["size_bytes"], item["md5"]) for item in objects}

    def stac_item(self, collection: str, identifier: str) -> dict[str, Any]:
        """Return an item of its STAC API."""
        with urllib.request.urlopen(f"{self.url}/stac/v1/collections/{collection}/items/{identifier}") as response:
            item: dict[str, Any] = json.load(response)
        return item

    def load(self, *pages: dict[str, Any]) -> int:
        """Give its catalogue the rows of answer pages, as they are; return how many."""
        rows: int = self.call("POST", "catalogue/load", list(pages))["rows"]
        return rows

    def generate(self, count: int, **wanted: Any) -> int:
        """Give its catalogue so many made-up rows (seed, collection, start, end); return how many."""
        rows: int = self.call("POST", "catalogue/generate", {"count": count, **wanted})["rows"]
        return rows

    def catalogue_settings(self, **settings: Any) -> None:
        """Change limits of its catalogue (the fields of `CatalogueSettings`)."""
        self.call("POST", "catalogue/settings", settings)

    def call(self, method: str, path: str, value: Any = None) -> Any:
        """Make a control call; return its JSON. RuntimeError with the sandbox's words when it refuses."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            body = None if value is None else json.dumps(value)
            connection.request(method, f"/_control/{path}", body=body)
            response = connection.getresponse()
            answer = json.loads(response.read())
        if response.status >= 400:
            raise RuntimeError(answer["error"])
        return answer
