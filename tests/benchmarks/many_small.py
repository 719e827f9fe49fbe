"""Many small objects, unshaped: the whole daemon against one bare connection per session that only reads.

The peer keeps no state, checks nothing and writes nothing. The ratio shows what leasing, verification, fsync and
publication cost together.
"""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from cdsed.config.secrets import Secret
from cdsed.sandbox.accounts import SandboxAccount, make_accounts
from cdsed.sandbox.names import realistic_safenames
from cdsed.transfer.connection import Connection, Credentials, Endpoint
from tests.benchmarks.result import Result
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess


def run() -> list[Result]:
    """Fetch 40 products of 12 MB with the daemon, then the same objects over eight bare connections."""
    names = realistic_safenames("S1_OCN", 40, seed=2)
    accounts = [replace(account, requests_per_minute=None) for account in make_accounts(2, seed=1)]
    with tempfile.TemporaryDirectory() as folder, SandboxProcess(accounts) as sandbox:
        lab = Installation(Path(folder), sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 12_000_000} for name in names))
        for name in names:
            sandbox.truth(name)
        with DaemonProcess(lab) as daemon:
            wait_until("the daemon is up", lambda: len(daemon.worker_pids()) == 4)
            time.sleep(2)
            lab.drop("small.txt", names)
            begun_s = time.monotonic()
            wait_until("it is reported", lambda: lab.report("small.txt"), 120, daemon=daemon)
            daemon_s = time.monotonic() - begun_s
        keys = [key for key in sandbox.counters()["keys"] if not key.endswith("/")]
        bare_s = _bare(sandbox, accounts, keys)
    return [Result("480 MB in small products: time / reading them over 8 bare connections", daemon_s / bare_s)]


def _bare(sandbox: SandboxProcess, accounts: list[SandboxAccount], keys: list[str]) -> float:
    endpoint = Endpoint(sandbox.url, "default", 10, 60)

    def read(number: int) -> None:
        account = accounts[number % len(accounts)]
        connection = Connection(endpoint, Credentials(Secret(account.access_key), Secret(account.secret_key)))
        for key in keys[number::8]:
            connection.request("GET", "eodata", key, {}).read()
        connection.close()

    begun_s = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(8)))
    return time.monotonic() - begun_s
