"""One product over one connection, whole and verified: what ``cds_s3_download_one_product`` does.

No state and no lease: whoever calls it answers for the account's limit of connections.
"""

import shutil
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path

from cdsed.errors import ProductError
from cdsed.model.eodata import S3Location
from cdsed.model.transfer import Digests, ListedObject, Piece, StoredObject
from cdsed.transfer.connection import Connection
from cdsed.transfer.fetch import BUFFER_BYTES, FetchContext, fetch_piece
from cdsed.transfer.publish import publish
from cdsed.transfer.s3_list import list_product
from cdsed.transfer.staging import prepare
from cdsed.transfer.translate import on_disk
from cdsed.transfer.verify import algorithms_for, verify
from cdsed.work.retrying import through_blips

_CHECKPOINT_S = 60.0  # nothing is kept of an interrupted product here


@dataclass(frozen=True, slots=True)
class Job:
    """What to fetch and where it shall appear; `pre_spool` holds it until it is whole."""

    location: S3Location
    final: Path
    pre_spool: Path
    login: str


class _Progress:
    """Nobody is told how far a piece is."""

    def written(self, done_bytes: int) -> None: ...

    def safe(self, done_bytes: int) -> None: ...


def bring(connection: Connection, job: Job) -> int:
    """Fetch, verify and publish one product.

    Returns
    -------
    int
        Its size in bytes.

    Raises
    ------
    ProductError
        It is not there, or what came is not what the service or its manifest states.
    AccountError, ServiceError, DiskError
        As they say.
    """
    stop = threading.Event()
    listed: list[ListedObject] = []
    for attempt in through_blips(stop):
        with attempt:
            listed = list_product(connection, job.login, job.location)
    if not listed:
        raise ProductError(f"nothing lies at {job.location.s3_path}", code="NotListed")
    with on_disk(str(job.pre_spool)):
        job.pre_spool.mkdir(parents=True, exist_ok=True)
        private = Path(tempfile.mkdtemp(prefix=".cdsed-", dir=job.pre_spool))
    staging = private / job.final.name
    try:
        prepare(staging, listed)
        objects = _fetch(connection, job, listed, staging, stop)
        _verify(staging, job, objects, stop)
        _publish(staging, job, listed)
    finally:
        shutil.rmtree(private, ignore_errors=True)
    return sum(item.size_bytes for item in listed)


def _fetch(
    connection: Connection, job: Job, listed: Sequence[ListedObject], staging: Path, stop: threading.Event
) -> list[StoredObject]:
    buffer = memoryview(bytearray(BUFFER_BYTES))
    context = FetchContext(connection, job.login, job.location.bucket, buffer, None, _CHECKPOINT_S, stop)
    algorithms = algorithms_for(job.location.key.rpartition("/")[2])

    def fetch(number: int, item: ListedObject) -> StoredObject:
        piece = Piece(number, number, item.key, item.path, item.etag, item.size_bytes, 0, item.size_bytes, 0, 0)
        digests = Digests()
        for attempt in through_blips(stop) if item.size_bytes else ():  # an empty file is there already
            with attempt:
                digests = fetch_piece(context, piece, staging, algorithms, _Progress())
        return StoredObject(number, item.key, item.path, item.size_bytes, item.etag, digests, None)

    return list(starmap(fetch, enumerate(listed, start=1)))


def _verify(staging: Path, job: Job, objects: Sequence[StoredObject], stop: threading.Event) -> None:
    safename = job.location.key.rpartition("/")[2]
    verdict = verify(staging, safename, objects, md5=None, manifest_counts=True, stop=stop)
    if not verdict.good:
        raise ProductError(
            f"{safename}: verification failed: {'; '.join(verdict.remarks[:3])}", code="VerificationFailed"
        )


def _publish(staging: Path, job: Job, listed: Sequence[ListedObject]) -> None:
    """Let it appear; what stood there before is replaced, as the caller asked for this very product."""
    single = None
    if len(listed) == 1 and listed[0].key == job.location.key:
        single = job.final.name
        (staging / listed[0].path).rename(staging / single)
    sizes = {single or item.path: item.size_bytes for item in listed}
    published = publish(staging, job.final.parent, sizes, single=single)
    if published.set_aside is not None:
        if published.set_aside.is_dir():
            shutil.rmtree(published.set_aside)
        else:
            published.set_aside.unlink()
