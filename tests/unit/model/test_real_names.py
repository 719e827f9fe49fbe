"""Names and paths of real products, as the catalogue and others write them."""

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdsed.model.eodata import guess_s3_path, is_place_of, split_s3_path
from cdsed.model.families import Family
from cdsed.model.safename import misfit, normalise, parse, spellings

DATA = Path(os.environ.get("CDSED_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
_OF_A_FORM = re.compile(r"S[1-6][A-Z_]_(?!AUX_|OPER_|REP1_)(?!.*(?:CARD[_-]|\.TGZ$))")


def _rows() -> Iterator[tuple[str, str]]:
    table = DATA / "real-names.tsv"
    if not table.is_file():
        pytest.skip("no real names here: set CDSED_SHARED_DATA")
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield row["name"], row["s3_path"]


def test_no_real_name_is_refused_or_called_misspelt() -> None:
    for written, _path in _rows():
        name = normalise(written)
        assert misfit(name) is None
        assert written in spellings(name)
        assert normalise(name) == name


def test_real_names_of_missions_are_read_and_no_field_is_wrong() -> None:
    for written, _path in _rows():
        said = parse(normalise(written))
        assert said.unit == (written[:3] if re.match("S[1-9][A-Z_]_", written) else "")
        assert (said.family is not Family.OTHER) == bool(_OF_A_FORM.match(written))
        form = said.family.mission.form
        if form and said.start:
            fields = [said.fields[part.called.replace(" ", "_")] for part in form.parts]
            assert "_".join([*fields, *(["COG"] if "cog" in said.fields else [])]) == said.stem
            assert f"_{said.start:%Y%m%dT%H%M}" in written
            assert said.stop is None or said.stop >= said.start
            assert f"_{said.product_type}" in written


def test_the_folder_of_a_real_path_is_the_type_that_its_name_tells() -> None:
    for written, path in _rows():
        said = parse(normalise(written))
        if said.start and path:
            above = path.split("/")[4]
            assert above.rstrip("_").startswith(
                (said.product_type.rstrip("_"), said.level, *_short_types(said.product_type))
            )


def _short_types(product_type: str) -> tuple[str, ...]:
    return (product_type[3:6], product_type[:3])  # SLC of IW_SLC__1S, L1B of L1B_IR_UVN


def test_every_real_place_is_that_of_its_product_and_of_no_other() -> None:
    before = ""
    for written, path in _rows():
        if path:
            location = split_s3_path(path)
            assert is_place_of(location, normalise(written))
            assert not before or not is_place_of(location, before)
            before = normalise(written)


def test_nearly_every_path_of_a_sentinel_product_is_known_from_its_name() -> None:
    counts: dict[str, Counter[str]] = {}
    for written, path in _rows():
        if path and re.match("S[1-6][A-Z_]_", written):
            guessed = guess_s3_path(parse(normalise(written)))
            # Sentinel-5P folders without an extension are of before November 2024. They are single objects since.
            right = guessed in {path, f"{path}.nc"}
            counts.setdefault(written[:2], Counter())["left" if guessed is None else "right" if right else "wrong"] += 1
    print({mission: dict(counted) for mission, counted in counts.items()})
    total = sum(counts.values(), Counter())
    assert set(counts) == {"S1", "S2", "S3", "S5", "S6"}
    assert total["right"] >= 0.97 * total.total()
    assert total["wrong"] <= 0.003 * total.total()
