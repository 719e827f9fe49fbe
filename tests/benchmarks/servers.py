"""The S3 server of the comparisons: rclone's, with the habits that cost others time switched off."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from cdsed.sandbox.accounts import SandboxAccount
from tests.support.ports import answers, free_port

#: Keys of other lengths than 20 are refused. Without limits of its own: what is measured is the program.
ACCOUNTS = [
    SandboxAccount(f"bench-{number}", f"BENCHACCESSKEY00000{number}", f"a-secret-of-a-bench-{number}")
    for number in (1, 2)
]
_READY_WITHIN_S = 20


@contextlib.contextmanager
def rclone_served(bin_dir: Path, folder: Path) -> Iterator[str]:
    """Serve the buckets in a directory from entry to exit; give the address.

    Without ``--no-checksum`` the server computes MD5 of what it sends, and takes a core for that. It computes the
    ETags at the first list, so everything is listed once before it is given.
    """
    port = free_port()
    command = [bin_dir / "rclone", "serve", "s3", "--config", "/dev/null", "--addr", f"127.0.0.1:{port}"]
    command += ["--no-checksum", "--dir-cache-time", "24h"]
    for account in ACCOUNTS:
        command += ["--auth-key", f"{account.access_key},{account.secret_key}"]
    with subprocess.Popen([*command, folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + _READY_WITHIN_S
            while not answers(port):
                assert server.poll() is None, f"rclone serve s3 ended with {server.returncode}"
                assert time.monotonic() < until, "rclone serve s3 does not answer"
                time.sleep(0.05)
            url = f"http://127.0.0.1:{port}"
            subprocess.run(
                [bin_dir / "s5cmd", "--endpoint-url", url, "ls", "--etag", "s3://eodata/*"],
                env=keys_environ(),
                check=True,
                stdout=subprocess.DEVNULL,
            )
            yield url
        finally:
            server.terminate()


def keys_environ() -> dict[str, str]:
    """Return an environment in which the clients of others find the keys of the first account."""
    account = ACCOUNTS[0]
    keys = {"AWS_ACCESS_KEY_ID": account.access_key, "AWS_SECRET_ACCESS_KEY": account.secret_key}
    return {**os.environ, **keys, "AWS_REGION": "default", "AWS_EC2_METADATA_DISABLED": "true"}
