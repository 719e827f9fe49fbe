"""Take the pictures of the web page: desktop, dark, phone, and the map."""

import struct
import tempfile
import zlib
from pathlib import Path

from tests.support.page_lab import ShownReader, make_state, page
from tests.support.webdriver import Browser, missing

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
_READY = (
    "return document.querySelectorAll('.chart canvas').length === 2 && document.querySelector('#failures table') && "
    "document.querySelector('#map-text').innerText.startsWith('Footprints of')"
)


def main() -> None:
    """Write the pictures, all from one report."""
    reason = missing()
    if reason:
        raise SystemExit(reason)
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = make_state(Path(folder))
        reader = ShownReader(settings.state_dir, named=Path("/var/lib/cdsed"))
        reader.full_disk()
        browser = Browser()
        try:
            with page(settings, reader) as url:
                _take(browser, url)
        finally:
            browser.close()


def _take(browser: Browser, url: str) -> None:
    for name, width, height, dark in (
        ("page-desktop", 1100, 1240, False),
        ("page-dark", 1100, 1240, True),
        ("page-phone", 390, 1300, False),
    ):
        browser.show_as(width, height, dark=dark, mobile=width < 500)
        browser.open(url)
        browser.wait("the page", _READY, 20)
        _write(browser, PICTURES / f"{name}.png")
    browser.show_as(1100, 700)
    browser.run("document.querySelector('#map').scrollIntoView()")
    _write(browser, PICTURES / "page-map.png")


def _write(browser: Browser, path: Path) -> None:
    browser.picture(path, whole=False)
    path.write_bytes(compress(path.read_bytes()))
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def compress(png: bytes) -> bytes:
    """Return a PNG with its data compressed as far as zlib can, and without chunks that are not needed."""
    chunks, at, data = [], 8, b""
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        content = png[at + 8 : at + 8 + size]
        at += 12 + size
        if kind == b"IDAT":
            data += content
        elif kind in (b"IHDR", b"PLTE", b"tRNS", b"IEND"):
            chunks.append((kind, content))
    chunks.insert(-1, (b"IDAT", zlib.compress(zlib.decompress(data), 9)))
    return png[:8] + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


if __name__ == "__main__":
    main()
