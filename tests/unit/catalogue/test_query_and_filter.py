from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
import shapely

from cdsed.catalogue.attributes import AttributeFilter, Operator, parse_condition, parse_timestamp
from cdsed.catalogue.filter import filter_text, literal, selects_everything
from cdsed.catalogue.query import Query


def area_of(text: str) -> str:
    return filter_text(Query(area=shapely.from_wkt(text)), None, None)


def test_a_query_for_nothing_has_no_filter():
    assert filter_text(Query(), None, None) == ""


def test_all_conditions_stand_in_one_filter():
    query = Query(
        collection="SENTINEL-1",
        name="S1A_*",
        sensor_mode="IW",
        product_type="IW_GRDH_1S",
        polarisation="DV",
        orbit=54172,
        relative_orbit=25,
        orbit_direction="ASCENDING",
        cloud_max_percent=20,
        online=True,
    )

    text = filter_text(query, datetime(2024, 6, 4, tzinfo=UTC), datetime(2024, 6, 5, tzinfo=UTC))

    assert text.split(" and Attributes/")[0] == (
        "Collection/Name eq 'SENTINEL-1' and ContentDate/Start ge 2024-06-04T00:00:00.000000Z "
        "and ContentDate/Start lt 2024-06-05T00:00:00.000000Z and startswith(Name,'S1A_') and Online eq true"
    )
    for kind, name, comparison in [
        ("String", "operationalMode", "eq 'IW'"),
        ("String", "productType", "eq 'IW_GRDH_1S'"),
        ("String", "polarisationChannels", "eq 'VV&VH'"),
        ("Integer", "orbitNumber", "eq 54172"),
        ("Integer", "relativeOrbitNumber", "eq 25"),
        ("String", "orbitDirection", "eq 'ASCENDING'"),
        ("Double", "cloudCover", "le 20.0"),
    ]:
        path = f"OData.CSC.{kind}Attribute"
        assert f"Attributes/{path}/any(att:att/Name eq '{name}' and att/{path}/Value {comparison})" in text


def test_times_are_sent_in_utc_with_all_their_digits():
    timestamp = datetime(2024, 6, 4, 2, 0, 0, 123456, tzinfo=timezone(timedelta(hours=3)))

    assert filter_text(Query(), timestamp, None) == "ContentDate/Start ge 2024-06-03T23:00:00.123456Z"


def test_quotes_cannot_end_a_text():
    assert filter_text(Query(collection="O'Neil' or true or '"), None, None) == (
        "Collection/Name eq 'O''Neil'' or true or '''"
    )


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("X.SAFE", "(Name eq 'X.SAFE' or Name eq 'X')"),
        ("S2B_MSIL1C_X", "(Name eq 'S2B_MSIL1C_X' or Name eq 'S2B_MSIL1C_X.SAFE')"),
        ("X*", "startswith(Name,'X')"),
        ("*X", "endswith(Name,'X')"),
        ("*X*", "contains(Name,'X')"),
        ("A*B*C", "startswith(Name,'A') and contains(Name,'B') and endswith(Name,'C')"),
        ("*", ""),
    ],
)
def test_a_pattern_is_asked_for_by_its_pieces(pattern, text):
    assert filter_text(Query(name=pattern), None, None) == text


def test_a_whole_name_fits_with_and_without_its_extension():
    query = Query(name="S2B_MSIL1C_X")
    assert [query.fits(name) for name in ("S2B_MSIL1C_X", "S2B_MSIL1C_X.SAFE", "S2B_MSIL1C_XY.SAFE")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("name", "fits"), [("AxBC", True), ("ABC", True), ("ACB", False), ("ABCx", False), ("A\nB.C", True)]
)
def test_a_name_fits_a_pattern_only_in_its_order(name, fits):
    assert Query(name="A*B*C").fits(name) is fits


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        (-1e21, "-1000000000000000000000"),
        (5, "5"),
        (True, "true"),
        ("a'b", "'a''b'"),
    ],
)
def test_literals_are_written_without_exponents_and_read_back_the_same(value, text):
    assert literal(value) == text


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("POINT (7 43)", ["POINT (7 43)"]),
        ("POINT Z (7 43 100)", ["POINT (7 43)"]),
        ("POINT (187 5)", ["POINT (-173 5)"]),
        ("LINESTRING (0 0, 1 1)", ["LINESTRING (0 0, 1 1)"]),
        ("LINESTRING (170 0, -170 10)", ["LINESTRING (170 0, 180 5)", "LINESTRING (-180 5, -170 10)"]),
        (
            "POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0), (2 2, 3 2, 3 3, 2 2))",
            ["POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0), (2 2, 3 3, 3 2, 2 2))"],
        ),
        (
            "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))",
            ["POLYGON ((0 0, 1 0, 1 1, 0 0))", "POLYGON ((5 5, 6 5, 6 6, 5 5))"],
        ),
        ("MULTIPOINT ((1 1), (2 2))", ["POINT (1 1)", "POINT (2 2)"]),
        (
            "POLYGON ((170 -20, -170 -20, -170 -10, 170 -10, 170 -20))",
            [
                "POLYGON ((170 -20, 180 -20, 180 -10, 170 -10, 170 -20))",
                "POLYGON ((-180 -20, -170 -20, -170 -10, -180 -10, -180 -20))",
            ],
        ),
        (
            "POLYGON ((-180 -90, 180 -90, 180 90, -180 90, -180 -90))",
            ["POLYGON ((-180 -90, 180 -90, 180 90, -180 90, -180 -90))"],
        ),
    ],
)
def test_every_part_of_an_area_reaches_the_catalogue(given, sent):
    text = area_of(given)

    found = [shapely.from_wkt(part.split("'")[0]) for part in text.split("SRID=4326;")[1:]]
    assert [each.normalize() for each in found] == [shapely.from_wkt(each).normalize() for each in sent]
    assert text.count("OData.CSC.Intersects(area=geography'SRID=4326;") == len(sent)
    assert text.count(" or ") == len(sent) - 1


def test_the_same_box_is_meant_whether_it_jumps_at_the_antimeridian_or_continues_beyond_it():
    assert area_of("POLYGON ((170 -20, -170 -20, -170 -10, 170 -10, 170 -20))") == area_of(
        "POLYGON ((170 -20, 190 -20, 190 -10, 170 -10, 170 -20))"
    )


def test_a_hole_across_the_antimeridian_stays_a_hole():
    hole = "(178 -16, -178 -16, -178 -14, 178 -14, 178 -16)"
    query = Query(area=shapely.from_wkt(f"POLYGON ((170 -20, -170 -20, -170 -10, 170 -10, 170 -20), {hole})"))

    text = filter_text(query, None, None)

    parts = [shapely.from_wkt(part.split("'")[0]) for part in text.split("SRID=4326;")[1:]]
    assert sum(part.area for part in parts) == pytest.approx(20 * 10 - 4 * 2)
    assert not any(part.intersects(shapely.Point(x, -15)) for part in parts for x in (179, -179))


def test_a_ring_around_a_pole_encloses_it():
    ring = shapely.Polygon([(x, 60) for x in (0, 90, 180, -90)])

    text = filter_text(Query(area=ring), None, None)

    parts = [shapely.from_wkt(part.split("'")[0]) for part in text.split("SRID=4326;")[1:]]
    assert sum(part.area for part in parts) == pytest.approx(360 * 30)


@pytest.mark.parametrize(
    ("wkt", "complaint"),
    [
        ("POLYGON EMPTY", "empty"),
        ("POLYGON ((0 0, 1 1, 1 0, 0 1, 0 0))", "Self-intersection"),
        ("GEOMETRYCOLLECTION (POINT (1 1))", "not a GeometryCollection"),
        ("POINT (43 97)", "longitude comes first"),
        ("POINT (500 0)", "leaves the globe"),
    ],
)
def test_an_area_that_cannot_be_honoured_is_refused(wkt, complaint):
    with pytest.raises(ValueError, match=complaint):
        Query(area=shapely.from_wkt(wkt))


def test_an_area_in_another_reference_system_is_refused():
    with pytest.raises(ValueError, match="SRID 2154"):
        Query(area=shapely.set_srid(shapely.Point(700000, 6600000), 2154))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"start": time(1)}, "is not a date or time"),
        ({"start": 20240101}, "is not a date or time"),
        ({"end": float("nan")}, "is not a date or time"),
        ({"end": pd.NaT}, "NaT is not a date or time"),
        ({"end": np.datetime64("NaT")}, "is not a date or time"),
        ({"end": np.datetime64("20240-01-01")}, "is not a date or time"),
        ({"start": pd.Series([pd.Timestamp(2024, 1, 1)])}, "is not a date or time"),
        ({"start": pd.Period("2024-06")}, "is not a date or time"),
        ({"start": b"2024-01-01"}, "is not a date or time"),
        ({"start": ["2024-01-01"]}, "is not a date or time"),
        ({"orbit": "5"}, "orbit '5' is not a whole number"),
        ({"orbit": True}, "orbit True is not a whole number"),
        ({"relative_orbit": 5.5}, "relative orbit 5.5 is not a whole number"),
        ({"cloud_max_percent": "5"}, "is not a number"),
        ({"collection": 5}, "collection 5 is not text"),
        ({"name": ["a"]}, "is not text"),
        ({"online": "yes"}, "is not True or False"),
        ({"area": "POINT (1 2)"}, "is not a geometry"),
        ({"columns": "orbitNumber"}, "is not a tuple of str"),
        ({"attributes": ("orbitNumber > 5",)}, "is not a tuple of AttributeFilter"),
        ({"start": datetime(2024, 1, 2, tzinfo=UTC), "end": datetime(2024, 1, 2, tzinfo=UTC)}, "ends at"),
        ({"collection": ""}, "collection is empty"),
        ({"product_type": "*GRD*"}, "only names can be patterns"),
        ({"polarisation": "XX"}, "polarisation 'XX' is not one of"),
        ({"orbit_direction": "UP"}, "neither ASCENDING nor DESCENDING"),
        ({"cloud_max_percent": 101}, "not between 0 and 100"),
        ({"columns": ("a'b",)}, "cannot be the name"),
        ({"columns": ("name",)}, "has one of that name"),
    ],
)
def test_what_cannot_be_honoured_is_refused(fields, complaint):
    with pytest.raises(ValueError, match=complaint):
        Query(**fields)


@pytest.mark.parametrize(
    "given",
    [
        date(2024, 6, 4),
        datetime(2024, 6, 4),  # noqa: DTZ001 - UTC is meant
        datetime(2024, 6, 4, tzinfo=UTC),
        datetime(2024, 6, 4, 2, tzinfo=timezone(timedelta(hours=2))),
        np.datetime64("2024-06-04"),
        np.datetime64("2024-06-04T00:00:00.000000001"),
        pd.Timestamp("2024-06-04"),
        pd.Timestamp("2024-06-04T00:00:00.000000001Z"),
        pd.Timestamp("2024-06-04 02:00", tz="Europe/Paris"),
        "2024-06-04",
        "2024-06-04 00:00",
        "2024-06-04T02:00:00+02:00",
    ],
)
def test_a_time_may_be_given_as_people_have_it(given):
    start = Query(start=given).start

    assert type(start) is datetime
    assert start == datetime(2024, 6, 4, tzinfo=UTC)


def test_numbers_of_numpy_become_plain_ones():
    query = Query(orbit=np.int64(5), cloud_max_percent=np.float32(20), online=np.True_)

    assert [type(each) for each in (query.orbit, query.cloud_max_percent, query.online)] == [int, float, bool]
    assert "eq 5)" in filter_text(query, None, None)


@pytest.mark.parametrize("query", [Query(), Query(name="*"), Query(columns=("orbitNumber",))])
def test_a_query_that_selects_everything_is_known(query):
    assert selects_everything(query)
    assert not selects_everything(replace(query, end="2024-01-01"))


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("orbitNumber >= 100", AttributeFilter("orbitNumber", Operator.GE, 100)),
        ("orbitNumber ge 100", AttributeFilter("orbitNumber", Operator.GE, 100)),
        ("cloudCover<20", AttributeFilter("cloudCover", Operator.LT, 20.0)),
        ("timeliness eq 'NRT-3h'", AttributeFilter("timeliness", Operator.EQ, "NRT-3h")),
        ("timeliness = it''s", AttributeFilter("timeliness", Operator.EQ, "it''s")),
        ("timeliness = 'it''s'", AttributeFilter("timeliness", Operator.EQ, "it's")),
        ("processorVersion = 003.71", AttributeFilter("processorVersion", Operator.EQ, "003.71")),
        ("any = 5", AttributeFilter("any", Operator.EQ, 5)),
        ("any = '5'", AttributeFilter("any", Operator.EQ, "5")),
        ("any:double != 5", AttributeFilter("any", Operator.NE, 5.0)),
        ("sliceProductFlag eq true", AttributeFilter("sliceProductFlag", Operator.EQ, True)),
        (
            "processingDate gt 2024-01-01",
            AttributeFilter("processingDate", Operator.GT, datetime(2024, 1, 1, tzinfo=UTC)),
        ),
    ],
)
def test_conditions_are_read_as_people_write_them(text, condition):
    read = parse_condition(text)

    assert read == condition
    assert type(read.value) is type(condition.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("orbitNumber", "not a condition like"),
        ("orbitNumber ge x", "is of type Integer, and 'x' is not"),
        ("a-b eq 1", "not a condition like"),
        ("x:Text eq 1", "the types are"),
        ("sliceProductFlag gt true", "eq and ne only"),
        ("cloudCover le nan", "cannot be compared"),
        (f"orbitNumber eq {2**63}", "too large"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_condition(text)


def test_a_value_of_another_type_than_the_attribute_is_refused():
    with pytest.raises(ValueError, match="orbitNumber is of type Integer, and '5' is not"):
        AttributeFilter("orbitNumber", Operator.EQ, "5")


def test_a_moment_without_a_zone_is_utc():
    assert parse_timestamp("2024-06-04T11:01") == datetime(2024, 6, 4, 11, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="not a date or time"):
        parse_timestamp("yesterday")
