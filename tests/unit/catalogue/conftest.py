import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sandbox import sandbox
from tests.unit.catalogue.catalogue_server import Server, serving

__all__ = ["sandbox"]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Give a key with a certificate for 127.0.0.1 that nobody vouches for; ``crt`` beside it is without the key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate of this test")
    key, crt, pem = (tmp_path / name for name in ("key", "crt", "server.pem"))
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([*command.split(), "-keyout", key, "-out", crt], check=True, capture_output=True)
    pem.write_bytes(key.read_bytes() + crt.read_bytes())
    return pem
