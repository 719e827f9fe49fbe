"""What other tools write is read as it is: each product, its id and its path where the output has them."""

from pathlib import Path

import pytest

from cdsed.inbox.parse import read_listing
from cdsed.model.listing import Ignored, Named
from tests.support.other_tools import FOLDER, GRD, IDS, L1C, OUTPUTS, PATHS, Output


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.file)
def test_the_output_of_a_tool_names_the_right_products_and_no_line_is_rejected(output: Output) -> None:
    lines = [line for line in read_listing(FOLDER / output.file) if not isinstance(line, Ignored)]
    assert [line.safename for line in lines if isinstance(line, Named)] == list(output.names)
    assert len(lines) == len(output.names)
    for line in lines:
        assert line.product_id == (IDS[line.safename] if output.ids else None)
        assert line.s3_path == (PATHS[line.safename] if output.paths else None)
        assert line.remark == ""


def test_every_file_of_other_tools_is_tried() -> None:
    tried = {output.file for output in OUTPUTS} | {"ids.txt", "ids.json"}
    assert {path.name for path in FOLDER.iterdir()} == tried


@pytest.mark.parametrize("file", ["ids.txt", "ids.json"])
def test_bare_ids_are_kept_for_the_catalogue(file: str) -> None:
    found = list(read_listing(FOLDER / file))
    assert found == [Named(number, each, each) for number, each in enumerate(IDS.values(), start=1)]


@pytest.mark.parametrize("suffix", ["csv", "json", "geojson", "parquet", "listing"])
@pytest.mark.parametrize("options", [b"", b"# cdsed: priority=5\n"])
def test_each_format_of_a_search_is_a_listing(tmp_path: Path, suffix: str, options: bytes) -> None:
    import geopandas as gpd
    import pandas as pd
    from shapely import Point

    from cdsed.catalogue.export import format_of, render

    found = {"id": list(IDS.values()), "name": [GRD, L1C], "s3_path": [PATHS[GRD], None], "size_bytes": [7, 8]}
    times = pd.to_datetime(["2024-06-04T11:01:00Z", None], utc=True)
    frame = gpd.GeoDataFrame({**found, "start": times}, geometry=[Point(1, 2), None], crs=4326)
    file = tmp_path / f"x.{suffix}"
    file.write_bytes(options + render(frame, format_of(suffix)))
    lines = [line for line in read_listing(file) if not isinstance(line, Ignored)]
    assert [(line.safename, line.product_id, line.s3_path) for line in lines if isinstance(line, Named)] == [
        (GRD, IDS[GRD], PATHS[GRD]),
        (L1C, IDS[L1C], None),
    ]
