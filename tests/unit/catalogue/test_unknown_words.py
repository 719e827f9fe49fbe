"""A search that finds nothing says which of its words the catalogue does not have."""

import pytest

from cdsed.catalogue.attributes import parse_condition
from cdsed.catalogue.query import Query
from cdsed.catalogue.unknown_words import unknown_words
from tests.support.catalogue_client import connect
from tests.support.catalogue_server import Response
from tests.support.sandbox import SandboxProcess

NAME = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"


@pytest.fixture(scope="module")
def filled():
    with SandboxProcess() as process:
        process.call("POST", "catalogue/generate", {"count": 200, "start": "2024-01-01", "end": "2024-01-02"})
        yield process


@pytest.mark.parametrize(
    ("conditions", "problems"),
    [
        ({"collection": "SENTINEL-1"}, []),
        ({"collection": "SENTINEL-6"}, []),
        ({"collection": "SENTINEL-1", "product_type": "IW_GRDH_1S", "sensor_mode": "IW"}, []),
        ({"collection": "sentinel-1"}, ["no collection 'sentinel-1'; it has SENTINEL-1,"]),
        ({"collection": "S1"}, ["no collection 'S1'; it has SENTINEL-1"]),
        ({"collection": "Sentinel2"}, ["no collection 'Sentinel2'; it has SENTINEL-2"]),
        ({"collection": "zzz"}, ["no collection 'zzz'; it has SENTINEL-1"]),
        (
            {"collection": "SENTINEL-1", "product_type": "GRDX"},
            ["product type 'GRDX' in SENTINEL-1; it has, for example,"],
        ),
        ({"product_type": "GRDX"}, ["no products of product type 'GRDX'; it has, for example,"]),
        (
            {"collection": "SENTINEL-1", "product_type": "SLCX", "sensor_mode": "XX"},
            ["product type 'SLCX' in", "sensor mode 'XX' in SENTINEL-1; it has, for example, "],
        ),
        (
            {"collection": "SENTINEL-1", "attributes": (parse_condition("orbitNumbr >= 5"),)},
            ["orbitNumbr ge 5 in SENTINEL-1"],
        ),
        ({"attributes": (parse_condition("orbitNumber >= 5"),)}, []),
        ({"name": NAME}, []),
        ({"name": "s1a_iw_*"}, []),
        ({"name": NAME.replace(".SAFE", ".safe")}, ["extension '.safe' should be '.SAFE'"]),
        ({"name": NAME.replace("_E33E", "")}, ["checksum is missing"]),
        ({"name": f"/eodata/x/{NAME}", "collection": "zzz"}, ["give the name alone"]),
        ({"name": f"{NAME}/"}, ["give the name alone"]),
        ({"name": NAME.lower()}, ["does not begin like the name of a Sentinel product"]),
    ],
)
def test_each_word_that_no_product_has_is_named_with_those_it_has(filled, conditions, problems):
    with connect(filled.catalogue_url) as service:
        found = unknown_words(Query(**conditions), service)

    assert len(found) == len(problems)
    for sentence, problem in zip(found, problems, strict=True):
        assert problem in sentence


def test_a_catalogue_that_cannot_be_asked_is_a_remark(server, caplog):
    server.respond = lambda _: Response(status=404)
    with connect(server.url) as service:
        assert unknown_words(Query(collection="X"), service) == []
    assert "is not known" in caplog.text
