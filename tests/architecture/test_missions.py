"""What depends on the mission is in ``model/families``, so that a new mission is one new file and two lines."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cdsed.model.families import EXTENSIONS, Family
from tests.architecture.sources import ROOT, Source, sources

_MAY_KNOW = (
    "cdsed.model.families",
    "cdsed.sandbox",  # a copy, so that it cannot agree with the code by mistake
    "cdsed.cli.demo_plot",  # the names of the products that the demo downloads
)
_MISSIONS = [family.mission for family in Family]
_WORDS = re.compile(
    "|".join(
        [
            r"\bS[1-9][A-Z]?(?:[A-Z_]_|\[)",  # S1A_, S5P_, S3__, and S1[A-Z] of a pattern
            r"\bS5P\b|\bS[12456789]\b|^S3$",  # S3 is also the service
            r"(?i:sentinel-?[1-9])",
            *(rf"{re.escape(extension)}\b" for extension in EXTENSIONS),
            *(rf"\b{extension.removeprefix('.')}\b" for extension in EXTENSIONS if extension.isupper()),
            *(re.escape(mission.manifest) for mission in _MISSIONS if mission.manifest),
            *(rf"\b{word}" for mission in _MISSIONS for word in mission.types),
            r"\bMSI\b|\bMSIL|\bTROPOMI\b",
        ]
    )
)
_IDENTIFIER = re.compile(r"(?i)_*(?:s[124-9]p?|s5p)(?:_|$)|sentinel_?[1-9]")
_EXAMPLE = re.compile(r"(?:e\.g\.|such as) .*", re.DOTALL)
_FOR_PEOPLE = {"help", "description"}


def _texts(tree: ast.Module) -> Iterator[str]:
    """Yield the strings that a module works with: no docstrings, no help of commands and settings, no examples."""
    skipped = set()
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant() as docstring):
                skipped.add(docstring)
            case ast.keyword(arg=str(name), value=text) if name in _FOR_PEOPLE:
                skipped.update(ast.walk(text))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in skipped:
            yield _EXAMPLE.sub("", node.value)


def _identifiers(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Attribute(value=of, attr=name):
                yield name
                if ast.unparse(of).endswith("Family") and name != "OTHER":
                    yield f"sentinel{name[1:]}"  # Family.S3, because s3 alone is the service
            case ast.ImportFrom(module=str(module)) if module.startswith("cdsed.model.families"):
                yield from (f"{module}.{alias.name}".removeprefix("cdsed.model.families.") for alias in node.names)


def _mission_words(source: Source) -> list[str]:
    found = [text for text in _texts(source.tree) if _WORDS.search(text)]
    return found + [name for name in _identifiers(source.tree) if _IDENTIFIER.match(name)]


@pytest.mark.parametrize(
    "source", [each for each in sources() if not each.name.startswith(_MAY_KNOW)], ids=lambda source: source.name
)
def test_only_the_families_know_words_of_a_mission(source):
    assert _mission_words(source) == []


@pytest.mark.parametrize(
    "text",
    [
        'X = (".SAFE", ".SEN3")',
        'name.endswith(".nc")',
        'name.startswith("S2")',
        'X = {"S3": 1}',
        'X = r"S1[A-Z]_"',
        'X = f"Sentinel-1/SAR/{x}"',
        "X = \"Collection/Name eq 'SENTINEL-1'\"",
        'X = "xfdumanifest.xml"',
        'X = "SLC"',
        "f(family is Family.S3)",
        "def _s1_folder(): pass",
        "from cdsed.model.families.sentinel2 import MISSION",
        "from cdsed.model.families import sentinel2",
    ],
)
def test_the_rule_catches_what_it_is_meant_for(text):
    assert _mission_words(Source("cdsed.work.wrong", ROOT, text, ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        '"""About S1A_ and .SAFE."""',
        'raise E("its S3 key is unknown")',
        'raise E("is not a product, e.g. S1A_ or S2B_")',
        'add(help="of Sentinel-1")',
        "f(Family.OTHER, s3_path)",
        'X = "S3Path"',
    ],
)
def test_the_rule_lets_prose_and_the_service_pass(text):
    assert _mission_words(Source("cdsed.work.right", ROOT, text, ast.parse(text))) == []


_NEW_MISSION = '''"""Sentinel-9, which does not exist."""

from cdsed.model.families.form import START, STOP, NameForm, Part, beginning
from cdsed.model.families.mission import BY_DATE, Mission

MISSION = Mission(
    form=NameForm(
        extension=".SEN9",
        mode=slice(4, 7),
        product_type=slice(4, 12),
        parts=(Part("unit", "S9[A-Z]", "a unit"), Part("type", "UVN_2_[A-Z0-9]{2}", "a type"), START, STOP),
    ),
    beginning=beginning("S9[A-Z]", "UVN_2"),
    is_directory=True,
    manifest="xfdumanifest.xml",
    digests=frozenset({"md5", "sha3_256"}),
    eodata_folder=lambda name, start: f"Sentinel-9/UVN/{name.product_type}",
    archive_layout=BY_DATE,
)
'''
_ASKED = """
import sys
from pathlib import Path
root = Path(sys.argv[1])
sys.path.insert(0, str(root))
from cdsed.compat.product_parser import ExplodeSAFE
from cdsed.config.settings import ArchiveSettings
from cdsed.local.intact import check_product
from cdsed.local.whole import is_whole
from cdsed.model.eodata import guess_s3_path
from cdsed.model.layout import archive_dir
from cdsed.model.quoting import holds_like_a_name, quotable
from cdsed.model.safename import misfit, normalise, parse
from cdsed.transfer.verify import algorithms_for

stem = "S9A_UVN_2_O3_20260101T000000_20260101T010000"
name = normalise(stem)
said = parse(name)
assert name == stem + ".SEN9"
assert (said.family, said.unit, said.mode, said.product_type) == ("S9", "S9A", "UVN", "UVN_2_O3")
assert misfit(name) is None
assert "type 'XXX' should be a type" == misfit(name.replace("UVN", "XXX"))
assert guess_s3_path(said) == f"/eodata/Sentinel-9/UVN/UVN_2_O3/2026/01/01/{name}"
assert archive_dir(Path("/a"), said, {}) == Path("/a/sentinel-9a/UVN/S9A_UVN_2_O3/2026/001")
assert ArchiveSettings(root=Path("/a"), layouts={"S9": "{unit}"}).layouts == {"S9": "{unit}"}
assert quotable(f"x {name}") == "S9A_UVN_2"
assert holds_like_a_name("x.SEN9")
assert algorithms_for(name) == {"md5", "sha3_256"}
assert ExplodeSAFE(name).satellite == "S9A"
product = root / name
product.write_bytes(b"x")
assert not is_whole(product)
product.unlink()
product.mkdir()
assert not is_whole(product)
assert "xfdumanifest.xml" in check_product(product).problems[0]
"""


def test_a_new_mission_is_one_file_and_two_lines_of_the_registry(tmp_path):
    shutil.copytree(ROOT / "cdsed", tmp_path / "cdsed", ignore=shutil.ignore_patterns("__pycache__"))
    families = tmp_path / "cdsed" / "model" / "families"
    (families / "sentinel9.py").write_text(_NEW_MISSION, encoding="utf-8")
    registry = families / "__init__.py"
    lines = registry.read_text(encoding="utf-8").splitlines()
    lines.insert(lines.index('    OTHER = "OTHER", other.MISSION'), '    S9 = "S9", sentinel9.MISSION')
    lines.insert(lines.index("class Family(StrEnum):"), "from cdsed.model.families import sentinel9")
    registry.write_text("\n".join(lines), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-I", "-c", _ASKED, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
