"""Small real products on disk."""

import hashlib
import tempfile
import zipfile
from pathlib import Path

from cdsed.model.choice import Choice
from cdsed.model.objects import ListedObject
from cdsed.model.part_marker import MARKER, content

SAFENAME = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
BELOW_ARCHIVE = "sentinel-1a/L1/IW/S1A_IW_GRDH_1S/2024/156"


def make_product(directory: Path, name: str = SAFENAME) -> Path:
    product = directory / name
    (product / "measurement").mkdir(parents=True)
    body = b"pixels"
    (product / "measurement" / "a.tiff").write_bytes(body)
    digest = hashlib.md5(body).hexdigest()
    (product / "manifest.safe").write_text(
        f'<x><byteStream size="{len(body)}"><fileLocation href="./measurement/a.tiff"/>'
        f'<checksum checksumName="MD5">{digest}</checksum></byteStream></x>',
        encoding="utf-8",
    )
    return product


def make_part(directory: Path, name: str = SAFENAME) -> Path:
    """Make a product of which the preview was left out, because only ``measurement`` was wanted."""
    product, choice = make_product(directory, name), Choice.of(["measurement"], [])
    assert choice is not None
    taken = [
        ListedObject("", file.relative_to(product).as_posix(), file.stat().st_size, "")
        for file in sorted(product.rglob("*"))
        if file.is_file()
    ]
    (product / MARKER).write_bytes(content(choice, taken, [ListedObject("", "preview/q.png", 5, "")]))
    return product


def make_zip(path: Path, product: Path | None = None) -> Path:
    """Make a zip of a product, by default of a new one."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path, "w") as archive:
        product = product or make_product(Path(folder))
        for file in sorted(product.rglob("*")):
            archive.write(file, file.relative_to(product.parent))
    return path
