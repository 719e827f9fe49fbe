"""Products on disk for a server: the same bytes each time, with true manifests, below the paths of CDSE."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random

from cdsed.sandbox.content import Body
from cdsed.sandbox.filesets import FileShape, file_shapes
from cdsed.sandbox.names import realistic_safenames
from cdsed.sandbox.products import ProductSpec, SandboxProduct
from tests.benchmarks.environment import BUILD

_BUCKETS = BUILD / "buckets"
_SEED = 9
_SAMPLED = 12
_TINY_BYTES = 4096


@dataclass(frozen=True)
class DataSet:
    """Products of one kind.

    Attributes
    ----------
    products
        How many.
    files
        Objects of each besides its manifest.
    size_bytes
        Of each, without the manifest.
    """

    name: str
    kind: str
    products: int
    files: int
    size_bytes: int

    def safenames(self) -> list[str]:
        """Return the names, the same each time."""
        return realistic_safenames(self.kind, self.products, _SEED)

    def specs(self) -> list[ProductSpec]:
        """Return what the products consist of."""
        return [ProductSpec(name, self.size_bytes) for name in self.safenames()]


OCN = DataSet("OCN", "S1_OCN", 40, 8, 12_000_000)
GRD = DataSet("GRD", "S1_GRD", 6, 25, 200_000_000)
SLC = DataSet("SLC", "S1_SLC", 1, 30, 2_000_000_000)
TINY = DataSet("TINY", "S1_WV", 20, 99, 99 * _TINY_BYTES)
MIX = (OCN, GRD, SLC, TINY)
#: What is fetched, by its name: one data set, or several.
LISTED = {"OCN": (OCN,), "GRD": (GRD,), "SLC": (SLC,), "TINY": (TINY,), "MIX": MIX}


class BenchProduct(SandboxProduct):
    """A product with a fixed number of files: those with data first, then those that the manifest covers."""

    def __init__(self, spec: ProductSpec, files: int) -> None:
        super().__init__(_SEED, spec)
        self._files = files

    @cached_property
    def _shapes(self) -> list[FileShape]:
        shapes = sorted(file_shapes(self.name, self._files), key=lambda shape: (not shape.share, not shape.identifier))
        return shapes[: self._files]

    @cached_property
    def _data(self) -> dict[str, Body]:
        if self.spec.size_bytes == self._files * _TINY_BYTES:
            return {shape.path: self._data_body(shape.path, _TINY_BYTES) for shape in self._shapes}
        return super()._data


@dataclass(frozen=True)
class Truths:
    """What a fetched data set must be: size and MD5 of every file by its path below the directory of products."""

    files: dict[str, tuple[int, str]]

    def check(self, folder: Path) -> None:
        """Compare a directory of products with it: all sizes, and the bytes of some; AssertionError if they differ."""
        found = {str(path.relative_to(folder)): path.stat().st_size for path in _files_in(folder)}
        wanted = {path: size_bytes for path, (size_bytes, _digest) in self.files.items()}
        wrong = sorted(path for path in found.keys() | wanted.keys() if found.get(path) != wanted.get(path))
        assert not wrong, f"{len(wrong)} files differ, of {len(wanted)}; {wrong[0]} is one of them"
        for path in Random(len(wanted)).sample(sorted(wanted), _SAMPLED):
            with (folder / path).open("rb") as file:
                digest = hashlib.file_digest(file, "md5").hexdigest()
            assert digest == self.files[path][1], f"{path} has other bytes"


def _files_in(folder: Path) -> Iterator[Path]:
    """Yield the files below a directory, without hidden directories, which are the staging of cdsed."""
    for top, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(top, name) for name in names)


def served(name: str) -> tuple[Path, list[str], Truths]:
    """Return a directory with the bucket ``eodata`` that holds one of `LISTED`, the paths in it, and its truth.

    What is missing is written: 3.7 GB for all of them. A mixture consists of hard links.
    """
    top, record = _BUCKETS / name, _BUCKETS / f"{name}.json"
    if not record.exists():
        print(f"writing the products of {name} into {top}", flush=True)
        shutil.rmtree(top, ignore_errors=True)
        top.mkdir(parents=True)
        paths: list[str] = []
        files: dict[str, tuple[int, str]] = {}
        for part in LISTED[name]:
            if part.name == name:
                for spec in part.specs():
                    product = BenchProduct(spec, part.files)
                    files |= _write(product, top / "eodata")
                    paths.append(product.key)
            else:
                folder, more, truths = served(part.name)
                shutil.copytree(folder, top, copy_function=os.link, dirs_exist_ok=True)
                files |= truths.files
                paths += more
        record.write_text(json.dumps({"paths": paths, "files": files}), encoding="utf-8")
    document = json.loads(record.read_text(encoding="utf-8"))
    return top, document["paths"], Truths({path: tuple(known) for path, known in document["files"].items()})


def _write(product: SandboxProduct, bucket: Path) -> dict[str, tuple[int, str]]:
    """Write the objects of a product as files; return size and MD5 by their paths below a directory of products."""
    files = {}
    for path, body in product.bodies.items():
        place = bucket / product.key / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as file:
            for piece in body.pieces(0, body.size_bytes):
                file.write(piece)
        files[f"{product.spec.safename}/{path}"] = (body.size_bytes, body.digest("md5"))
    return files
