"""A product made from each real manifest is judged alike by presence, `missing`, `verify`, `check` and transfers.

The real files are not at hand. So each file gets a few bytes, and the manifest their digest. Where it states a size
that is not that of a file, it keeps stating it. Of a long manifest only some files are made, to save time.
"""

import csv
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdsed.local.intact import check_product
from cdsed.local.presence import Presence
from cdsed.model.manifest import manifest_of, parse_manifest, product_of
from cdsed.model.objects import Digests, StoredObject
from cdsed.transfer.verify import verify
from tests.support.local_products import make_zip

_SIBLING = Path(__file__).parents[3].parent / "shared" / "data"
_MANIFESTS = Path(os.environ.get("CDSED_SHARED_DATA", _SIBLING)) / "manifests"
_UNNAMED = {
    "sentinel-1": "S1A_IW_GRDH_1SDV_20241217T061735_20241217T061800_057028_07020F_0C1A.SAFE",
    "sentinel-2": "S2A_MSIL1C_20230710T074806_N0511_R101_T46GJB_20230710T104743.SAFE",
    "sentinel-3": "S3B_OL_2_WFR____20230301T234556_20230301T234856_20230303T033944_0179_117_187_2520_MAR_O_NT_004.SEN3",
}


def _rows() -> list[dict[str, str]]:
    if not _MANIFESTS.exists():
        return []
    with (_MANIFESTS / "index.tsv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _named(manifest: Path) -> str:
    stem = re.sub(r"\.?(broken_manifest\.safe|xfdumanifest\.xml|manifest\.safe)$", "", manifest.name)
    return product_of(stem).name if stem else _UNNAMED[manifest.parent.name]


def _made(manifest: Path, states_sizes: bool, folder: Path) -> Path:
    """Make the product of a manifest, with a file of a few bytes for each of its entries."""
    safename = _named(manifest)
    product = folder / safename
    every = parse_manifest(manifest.read_bytes(), safename).entries
    entries = iter(every)
    kept = {entry.path for entry in (*every[:4], *every[-4:])}
    bodies: dict[str, bytes] = {}

    def rewritten(stream: re.Match[str]) -> str:
        entry = next(entries)
        if entry.path not in kept:
            return ""
        body = bodies.setdefault(entry.path, f"{len(bodies)} {entry.path}".encode() * 9)
        digest = hashlib.new(entry.algorithm, body).hexdigest()
        text = re.sub(re.escape(entry.digest), digest, stream[0], flags=re.IGNORECASE)
        return re.sub('size="[0-9]+"', f'size="{len(body)}"', text, count=1) if states_sizes else text

    text = manifest.read_text(encoding="utf-8", errors="surrogateescape")
    text = re.sub("<byteStream.*?</byteStream>", rewritten, text, flags=re.DOTALL)
    for path, body in bodies.items():
        (product / path).parent.mkdir(parents=True, exist_ok=True)
        (product / path).write_bytes(body)
    product.mkdir(exist_ok=True)
    (product / _manifest_of(safename)).write_text(text, encoding="utf-8", errors="surrogateescape")
    return product


def _objects(product: Path) -> Iterator[StoredObject]:
    files = (file for file in sorted(product.rglob("*")) if file.is_file())
    for number, file in enumerate(files, start=1):
        path = file.relative_to(product).as_posix()
        yield StoredObject(number, f"k/{path}", path, file.stat().st_size, "multipart-2", Digests(), None)


def _judgements(product: Path, safename: str, folder: Path) -> dict[str, bool]:
    """Return what each judge says of a product in a private staging directory."""
    listed = list(_objects(product))
    verdict = verify(product, safename, listed, md5=None, manifest_counts=True, stop=threading.Event())
    packed = make_zip(folder / f"{safename}.zip", product)
    return {
        "transfer": verdict.good,
        "presence": Presence([product.parent], []).find_now(safename) == product,
        "verify": check_product(product).good,
        "presence of the zip": Presence([folder], []).find_now(safename) == packed,
        "verify of the zip": check_product(packed).good,
    }


@pytest.mark.skipif(not _rows(), reason="no real manifests here: set CDSED_SHARED_DATA")
@pytest.mark.parametrize("row", _rows(), ids=lambda row: row["file"].rpartition("/")[2][:60])
def test_a_product_of_a_real_manifest_is_judged_alike_by_all(row: dict[str, str], tmp_path: Path) -> None:
    manifest = _MANIFESTS / row["file"]
    safename = _named(manifest)
    staging = tmp_path / ".cdsed"
    staging.mkdir(mode=0o700)
    product = _made(manifest, row["sizes"] == "bytes", staging)
    entries = parse_manifest((product / _manifest_of(safename)).read_bytes(), safename).entries
    for judge, good in _judgements(product, safename, tmp_path).items():
        assert good, judge
    for spoil in (_cut, _changed, Path.unlink):
        worst = product / entries[len(entries) // 2].path
        body = worst.read_bytes()
        spoil(worst)
        judged = _judgements(product, safename, tmp_path)
        if spoil is _changed and row["sizes"] == "bytes":
            # Presence takes a file of the stated size for good: its digest was checked when it was fetched.
            judged = {judge: good for judge, good in judged.items() if not judge.startswith("presence")}
        assert not any(judged.values()), (spoil, judged)
        worst.write_bytes(body)


def _manifest_of(safename: str) -> str:
    return manifest_of(safename)[0] or ""


def _cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _changed(file: Path) -> None:
    body = bytearray(file.read_bytes())
    body[-1] ^= 1
    file.write_bytes(body)


@pytest.mark.skipif(not _rows(), reason="no real manifests here: set CDSED_SHARED_DATA")
def test_every_real_manifest_is_read_whole_but_the_one_that_names_no_file() -> None:
    counts = {row["file"]: int(row["entries"]) for row in _rows()}
    files = {file.relative_to(_MANIFESTS).as_posix() for file in _MANIFESTS.glob("*/*")}
    assert counts.keys() <= files
    for file in files:
        manifest = parse_manifest((_MANIFESTS / file).read_bytes(), _named(_MANIFESTS / file))
        assert manifest.complete is not file.endswith("broken_manifest.safe")
        assert len(manifest.entries) == counts.get(file, len(manifest.entries))
