"""Whether 100 000 products are on disk, in an output directory, a spool or an archive, against cdsodatacli.

A quarter is in each place, a quarter in none of them; they are asked for in the order of time, as a search lists them.
The peer (``filter_product_already_present``) checks whether a path exists. cdsed checks whether it is complete.
A second measure therefore asks for 100 000 absent products.
"""

import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from cdsed.local.presence import Archive, Presence
from cdsed.model.layout import archive_dir
from cdsed.model.safename import parse
from cdsed.sandbox.names import realistic_safenames
from tests.benchmarks.peer import compare, interpreter
from tests.benchmarks.result import Result

_PRODUCTS = 100_000
_TRACED = 10_000
_PLACES = ("outputdir", "spool", "archive")
_DATA = b"measured"
_DIGEST = "0" * 32  # no digest is compared here
MANIFEST = f"""<xfdu><dataObjectSection><dataObject ID="data"><byteStream size="{len(_DATA)}">
<fileLocation href="./data.tiff"/><checksum checksumName="MD5">{_DIGEST}</checksum>
</byteStream></dataObject></dataObjectSection></xfdu>"""
_PEER = """
from collections import defaultdict
from pathlib import Path
import pandas as pd
from cdsodatacli.download import filter_product_already_present

root, listing, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
settings = {"spools": {"a": str(root / "spool")}, "archives": {"a": str(root / "archive")}}
products = pd.DataFrame({"safe": listing.read_text().split()[:count]})

def once():
    absent, _counters = filter_product_already_present(
        defaultdict(int), products.copy(), str(root / "outputdir"), settings
    )
    return len(absent)
"""


def run() -> list[Result]:
    """Look 100 000 products up, present and absent ones, and count the system calls of a tenth of them."""
    names = sorted(realistic_safenames("S1_GRD", 2 * _PRODUCTS, seed=8), key=lambda name: name[17:32])
    asked, nowhere = names[::2], names[1::2]
    results = []
    with tempfile.TemporaryDirectory() as folder:
        root, listing, absent = Path(folder), Path(folder, "listing.txt"), Path(folder, "absent.txt")
        listing.write_text("\n".join(asked), encoding="utf-8")
        absent.write_text("\n".join(nowhere), encoding="utf-8")
        _fill(root, asked)
        for what, file in (("three quarters there", listing), ("none there", absent)):
            compared = compare(
                partial(look, root, file, _PRODUCTS), _PEER, str(root), str(file), str(_PRODUCTS), repeats=2
            )
            print(f"presence of {_PRODUCTS} products, {what}: {compared.text()}")
            if compared.ratio is not None:
                results.append(Result(f"presence, {what}: time / cdsodatacli", compared.ratio, at_most=1))
            results += _system_calls(root, file, what)
    return results


def look(root: Path, listing: Path, count: int) -> int:
    """Return how many of the first `count` products of a listing are on no disk."""
    presence = Presence([root / "spool"], [Archive(root / "archive", {})])
    names = listing.read_text(encoding="utf-8").split()[:count]
    return sum(presence.find(name, root / "outputdir") is None for name in names)


def _fill(root: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        place = number % (len(_PLACES) + 1)
        if place == len(_PLACES):
            continue
        parent: Path | None = root / _PLACES[place]
        if _PLACES[place] == "archive":
            parent = archive_dir(root / "archive", parse(name), {})
        assert parent
        product = parent / name
        product.mkdir(parents=True)
        (product / "manifest.safe").write_text(MANIFEST, encoding="utf-8")
        (product / "data.tiff").write_bytes(_DATA)


def _system_calls(root: Path, listing: Path, what: str) -> list[Result]:
    if not shutil.which("strace"):
        print("system calls of presence: not counted, as there is no strace")
        return []
    python = interpreter()
    script = "import sys; from pathlib import Path; from tests.benchmarks.presence import look\n"
    script += "look(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))"
    ours = _calls_per_product([sys.executable, "-c", script, str(root), str(listing)])
    text = f"system calls per product, {what}: {ours:.1f}"
    if python is None:
        print(text)
        return []
    theirs = _calls_per_product(
        [str(python), "-W", "ignore", "-c", f"import sys{_PEER}once()", str(root), str(listing)]
    )
    print(f"{text}; cdsodatacli {theirs:.1f}")
    return [Result(f"presence, {what}: system calls / cdsodatacli", ours / theirs)]


def _calls_per_product(command: list[str]) -> float:
    """Count those of some products, less those of one, which stand for starting."""
    return (_calls(command, _TRACED) - _calls(command, 1)) / (_TRACED - 1)


def _calls(command: list[str], count: int) -> int:
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as report:
        subprocess.run(
            ["strace", "-f", "-c", "-o", report.name, *command, str(count)], check=True, stderr=subprocess.DEVNULL
        )
        total = report.read().strip().rpartition("\n")[2].split()
    return int(total[3])
