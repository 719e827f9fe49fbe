"""A session at a sandbox that others use too: each test takes a product of its own and leaves no fault behind."""

import itertools
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cdsed.config.secrets import Secret
from cdsed.model.eodata import split_s3_path
from cdsed.model.objects import Digests, ListedObject, Piece, StoredObject
from cdsed.sandbox.names import realistic_safenames
from cdsed.transfer.bandwidth import UNLIMITED
from cdsed.transfer.connection import Connection, Credentials, Endpoint
from cdsed.transfer.fetch import BUFFER_BYTES, FetchContext, fetch_piece
from cdsed.transfer.s3_list import list_product
from tests.support.sandbox import SandboxProcess

_numbers = itertools.count()


@dataclass
class Progress:
    """What is reported of a piece."""

    written_bytes: list[int] = field(default_factory=list)
    safe_bytes: list[int] = field(default_factory=list)

    def written(self, done_bytes: int) -> None:
        self.written_bytes.append(done_bytes)

    def safe(self, done_bytes: int) -> None:
        self.safe_bytes.append(done_bytes)


class S3Lab:
    """A session at a sandbox."""

    def __init__(self, sandbox: SandboxProcess, staging: Path) -> None:
        self.sandbox = sandbox
        self.staging = staging
        self.stop = threading.Event()
        self.progress = Progress()
        self.connection = self.connect()

    def connect(self, *, url: str = "", secret: str = "", read_timeout_s: float = 5.0) -> Connection:
        account = self.sandbox.accounts[0]
        endpoint = Endpoint(url or self.sandbox.url, "default", 2.0, read_timeout_s)
        return Connection(endpoint, Credentials(Secret(account.access_key), Secret(secret or account.secret_key)))

    def product(self, kind: str = "S5P", size_bytes: int = 600_000, **options: Any) -> tuple[str, str]:
        """Add a product that no other test has; return its name and S3 path."""
        name = realistic_safenames(kind, 1, seed=1000 + next(_numbers))[0]
        paths = self.sandbox.add_products({"safename": name, "size_bytes": size_bytes, **options})
        return name, paths[name]

    def listed(self, s3_path: str) -> list[ListedObject]:
        return list_product(self.connection, "me", split_s3_path(s3_path))

    def context(self, **options: Any) -> FetchContext:
        values = {
            "connection": self.connection,
            "account": "me",
            "bucket": "eodata",
            "buffer": memoryview(bytearray(BUFFER_BYTES)),
            "pace": UNLIMITED,
            "checkpoint_every_s": 60.0,
            "stop": self.stop,
        }
        return FetchContext(**{**values, **options})

    def fetch(self, piece: Piece, algorithms: frozenset[str] = frozenset({"md5"}), **options: Any) -> Digests:
        file = self.staging / piece.path
        if not os.path.lexists(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            os.truncate(file, piece.object_bytes)
        return fetch_piece(self.context(**options), piece, self.staging, algorithms, self.progress)

    def whole_product(self, kind: str, **options: Any) -> tuple[str, list[StoredObject]]:
        """Bring a product into the staging directory; return its name and objects, with the digests as fetched."""
        name, s3_path = self.product(kind, **options)
        objects = []
        for number, item in enumerate(self.listed(s3_path), start=1):
            (self.staging / item.path).parent.mkdir(parents=True, exist_ok=True)
            (self.staging / item.path).touch()
            os.truncate(self.staging / item.path, item.size_bytes)
            digests = self.fetch(piece_of(item), frozenset({"md5", "sha3_256"})) if item.size_bytes else Digests()
            objects.append(StoredObject(number, item.key, item.path, item.size_bytes, item.etag, digests, None))
        return name, objects


def piece_of(item: ListedObject, first: int = 0, size: int | None = None, done: int = 0, etag: str = "") -> Piece:
    size = item.size_bytes - first if size is None else size
    return Piece(1, 1, item.key, item.path, etag or item.etag, item.size_bytes, first, size, done, 0)
