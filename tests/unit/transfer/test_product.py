"""One product over one connection: complete and verified, without any state."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cdsed.errors import AccountError, DiskError, ProductError, Stopped
from cdsed.model.eodata import split_s3_path
from cdsed.transfer.connection import Connection
from cdsed.transfer.product import FetchOptions, FetchProgress, StagedProduct, fetch_product
from cdsed.transfer.publish import publish
from tests.support.s3_lab import S3Lab

_MB = 10**6


class Fetch:
    """A product of its own at the sandbox, and the place to put it together in."""

    def __init__(self, lab: S3Lab, tmp_path: Path) -> None:
        self.lab = lab
        self.root = tmp_path
        self.seen: list[FetchProgress] = []
        self.on_progress: Callable[[FetchProgress], object] = self.seen.append

    def add(self, kind: str, size_bytes: int = 3 * _MB, **options: object) -> None:
        self.name, self.path = self.lab.product(kind, size_bytes, **options)
        self.staging = self.root / "pre-spool" / self.name

    def __call__(self, **options: object) -> StagedProduct:
        given = FetchOptions(**options)
        return fetch_product(self.lab.connection, split_s3_path(self.path), self.staging, self.on_progress, given)

    def requested(self) -> Callable[[], list[str]]:
        """Return what tells which files are asked for from now on."""
        before = len(self.lab.sandbox.requests())

        def paths() -> list[str]:
            rows = self.lab.sandbox.requests()[before:]
            return [row["key"].partition(f"{self.name}/")[2] for row in rows if row["operation"] == "get"]

        return paths

    def differences(self) -> list[str]:
        truth = self.lab.sandbox.truth(self.name)
        files = {str(file.relative_to(self.staging)): file for file in self.staging.rglob("*") if file.is_file()}
        assert files.keys() == truth.keys()
        return [path for path, file in files.items() if hashlib.md5(file.read_bytes()).hexdigest() != truth[path].md5]


@pytest.fixture
def fetch(s3_lab: S3Lab, tmp_path: Path) -> Fetch:
    return Fetch(s3_lab, tmp_path)


@pytest.mark.parametrize("kind", ["S1_OCN", "S5P"])
def test_a_product_is_staged_whole_with_its_digests_and_can_be_published(fetch: Fetch, kind: str) -> None:
    fetch.add(kind)
    staged = fetch()
    assert fetch.differences() == []
    assert staged.verdict.good
    assert staged.size_bytes == sum(each.size_bytes for each in fetch.lab.sandbox.truth(fetch.name).values())
    assert all(item.digests.stamp for item in staged.objects if item.size_bytes)
    sizes = {item.path: item.size_bytes for item in staged.objects}
    spool = fetch.root / "spool"
    published = publish(fetch.staging, spool, sizes, single=staged.single, stamps=staged.verdict.stamps)
    assert published.path == spool / fetch.name
    assert fetch.lab.connection.requests > 0


def test_progress_counts_the_bytes_of_the_whole_product(fetch: Fetch) -> None:
    fetch.add("S1_OCN")
    size_bytes = fetch().size_bytes
    written = [progress.written_bytes for progress in fetch.seen]
    assert written == sorted(written)
    assert (written[-1], {progress.size_bytes for progress in fetch.seen}) == (size_bytes, {size_bytes})


def test_a_product_that_was_stopped_begins_again_with_an_empty_directory(fetch: Fetch) -> None:
    fetch.add("S1_OCN")
    stopping = threading.Event()
    fetch.on_progress = lambda progress: stopping.set() if progress.written_bytes > 2 * _MB else None
    with pytest.raises(Stopped):
        fetch(stop=stopping)
    fetch.on_progress = fetch.seen.append
    requested = fetch.requested()
    fetch()
    assert fetch.differences() == []
    assert set(requested()) == {path for path, each in fetch.lab.sandbox.truth(fetch.name).items() if each.size_bytes}


def test_a_file_that_does_not_belong_to_the_product_is_removed(fetch: Fetch) -> None:
    fetch.add("S1_OCN")
    fetch()
    (fetch.staging / "planted").write_bytes(b"x")
    fetch()
    assert fetch.differences() == []


def test_a_blip_of_the_service_costs_only_the_bytes_that_were_under_way(fetch: Fetch) -> None:
    fetch.add("S5P")
    fetch.lab.sandbox.fault(kind="reset", key=f"*{fetch.name}", operation="get", times=1, after_bytes=2 * _MB)
    fetch()
    assert fetch.differences() == []
    [fault] = fetch.lab.sandbox.call("GET", "faults")["faults"]
    assert fault["matched"] > 1, "the blip never came"


def test_what_contradicts_its_manifest_is_a_bad_copy(fetch: Fetch) -> None:
    fetch.add("S1_GRD", manifest_lies=True)
    with pytest.raises(ProductError, match="verification failed") as caught:
        fetch()
    assert caught.value.code == "VerificationFailed"


def test_a_manifest_that_does_not_count_is_remarked(fetch: Fetch) -> None:
    fetch.add("S1_GRD", manifest_lies=True)
    assert fetch(manifest_counts=False).verdict.remarks


def test_the_md5_of_the_catalogue_counts_for_a_single_object(fetch: Fetch) -> None:
    fetch.add("S5P", 20 * _MB)  # its ETag is not a digest
    with pytest.raises(ProductError) as caught:
        fetch(md5="0" * 31 + "1")
    assert caught.value.code == "VerificationFailed"
    fetch(md5=fetch.lab.sandbox.truth(fetch.name)[fetch.name].md5)


def test_a_path_where_nothing_is_says_so_and_leaves_nothing(fetch: Fetch) -> None:
    fetch.add("S5P")
    fetch.path = fetch.path[:-8]
    with pytest.raises(ProductError) as caught:
        fetch()
    assert caught.value.code == "NotListed"
    assert not fetch.staging.parent.exists()


def test_a_refused_key_is_the_accounts_error(fetch: Fetch) -> None:
    fetch.add("S5P")
    fetch.lab.connection = fetch.lab.connect(secret="wrong")
    with pytest.raises(AccountError, match="account mine"):
        fetch(account="mine")


def test_a_pre_spool_that_others_may_write_in_is_refused(fetch: Fetch) -> None:
    fetch.add("S5P")
    fetch.staging.parent.mkdir()
    fetch.staging.parent.chmod(0o777)
    with pytest.raises(DiskError, match="must be cdsed's alone"):
        fetch()


def test_each_transfer_is_watched(fetch: Fetch) -> None:
    fetch.add("S1_OCN")
    watched = []

    @contextmanager
    def watch(connection: Connection) -> Iterator[None]:
        watched.append(connection)
        yield

    staged = fetch(watch=watch)
    assert len(watched) == 1 + sum(1 for item in staged.objects if item.size_bytes)
