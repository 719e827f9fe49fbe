"""``$filter``: every form that CDSE documents, evaluated over rows as it delivers them."""

from typing import Any

import pytest

from cdsed.sandbox.odatafilter import FilterError, parse_filter
from cdsed.sandbox.rows import DELETED_FIELD_KINDS, FIELD_KINDS, LoadedRow

_TYPES = {str: "String", int: "Integer", float: "Double", bool: "Boolean"}
_ID = "521bd8f9-48a5-4e1f-9435-58f97cb64d39"


def attribute(name: str, value: Any, type_name: str = "") -> dict[str, Any]:
    type_name = type_name or _TYPES[type(value)]
    return {
        "@odata.type": f"#OData.CSC.{type_name}Attribute",
        "Name": name,
        "Value": value,
        "ValueType": type_name,
    }


def row(**changes: Any) -> LoadedRow:
    whole = {
        "Id": _ID,
        "Name": "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE",
        "ContentLength": 2121095339,
        "OriginDate": "2024-06-04T12:12:03.404000Z",
        "PublicationDate": "2024-06-04T12:18:40.284131Z",
        "ModificationDate": "2024-06-04T12:19:02.060894Z",
        "Online": True,
        "EvictionDate": "",
        "S3Path": "/eodata/Sentinel-1/SAR/IW_GRDH_1S/2024/06/04/S1A_IW_GRDH_1SDV_20240604T110100.SAFE",
        "ContentDate": {"Start": "2024-06-04T11:01:00.494767Z", "End": "2024-06-04T11:01:31.089640Z"},
        "Footprint": "geography'SRID=4326;POLYGON ((113 -29, 116 -29, 116 -27, 113 -27, 113 -29))'",
        "Attributes": [
            attribute("productType", "IW_GRDH_1S"),
            attribute("operationalMode", "IW"),
            attribute("relativeOrbitNumber", 25),
            attribute("cloudCover", 12.5),
            attribute("sliceProductFlag", False),
            attribute("processingDate", "2024-06-04T12:03:49.113620+00:00", "DateTimeOffset"),
            attribute("spatialResolution", "10", "Integer"),
        ],
    }
    return LoadedRow(whole | changes)


def selects(text: str, record: LoadedRow | None = None) -> bool:
    return parse_filter(text, FIELD_KINDS).matches(record or row())


def any_of(type_name: str, name: str, condition: str) -> str:
    value = f"att/OData.CSC.{type_name}Attribute/Value"
    return f"Attributes/OData.CSC.{type_name}Attribute/any(att:att/Name eq '{name}' and {value} {condition})"


def area(wkt: str) -> str:
    return f"OData.CSC.Intersects(area=geography'SRID=4326;{wkt}')"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Name eq 'S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE'",
        "Name ne 'other'",
        "Name in ('other','S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE')",
        "Name in ('S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE')",
        "contains(Name,'GRDH') and startswith(Name, 'S1A') and endswith(Name,'.SAFE')",
        f"Id eq {_ID}",
        f"Id eq {_ID.upper()}",
        f"Id in ({_ID},67360f3a-f36b-11ef-9d3f-0050561a7772)",
        "Collection/Name eq 'SENTINEL-1'",
        "Online eq true",
        "Online ne false",
        "ContentLength gt 2e9 and ContentLength le 2121095339",
        "EvictionDate eq null",
        "not contains(Name,'SLC')",
        "not (contains(Name,'SLC') or Online eq false)",
        "not(Online eq false)",
        "((Name eq 'x') or (Online eq true)) and (ContentLength gt 0)",
        "  Online eq true AND contains(Name,'S1')  ",
    ],
)
def test_a_filter_that_holds_selects(text):
    assert selects(text)


@pytest.mark.parametrize(
    "text",
    [
        "Name eq 's1a_iw_grdh_1sdv_20240604t110100_20240604t110131_054172_069690_e33e.safe'",
        "Name in ('a','b')",
        "contains(Name,'SLC')",
        "Id eq 67360f3a-f36b-11ef-9d3f-0050561a7772",
        "Collection/Name eq 'SENTINEL-2'",
        "Online eq false",
        "ContentLength lt 2121095339",
        "EvictionDate lt 9999-12-31T23:59:59Z",
        "EvictionDate ne null",
        "not (Online eq true)",
        "Online eq true and Online eq false",
    ],
)
def test_a_filter_that_does_not_hold_does_not_select(text):
    assert not selects(text)


def test_and_binds_stronger_than_or():
    assert selects("Online eq true or Online eq true and Online eq false")
    assert not selects("(Online eq true or Online eq true) and Online eq false")


@pytest.mark.parametrize(
    ("timestamp", "is_after"),
    [
        ("2024-06-04T11:01:00.494766Z", True),
        ("2024-06-04T11:01:00.4947665Z", True),
        ("2024-06-04T11:01:00.494767Z", False),
        ("2024-06-04T11:01:00.4947671Z", False),
        ("2024-06-04T11:01:00.49Z", True),
        ("2024-06-04T11:01:00Z", True),
        ("2024-06-04T11:01:01", False),
        ("2024-06-04", True),
        ("2024-06-05", False),
        ("2024-06-04T13:01:00+02:00", True),
        ("2024-06-04T13:01:01+02:00", False),
        ("2024-06-04T10:31:01-00:30", False),
    ],
)
def test_moments_have_any_fraction_and_offset_and_are_utc_without_one(timestamp, is_after):
    assert selects(f"ContentDate/Start gt {timestamp}") is is_after
    assert selects(f"ContentDate/Start le {timestamp}") is not is_after


def test_each_moment_of_an_entry_can_be_compared():
    assert selects("ContentDate/End eq 2024-06-04T11:01:31.08964Z")
    assert selects("PublicationDate ge 2024-06-04T12:18:40.284131Z and PublicationDate lt 2024-06-04T12:18:41Z")
    assert selects("ModificationDate gt 2024-06-04T12:19:02.060Z")
    assert selects("OriginDate eq 2024-06-04T12:12:03.404000Z")


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        (any_of("String", "productType", "eq 'IW_GRDH_1S'"), True),
        (any_of("String", "productType", "eq 'IW_SLC__1S'"), False),
        (any_of("String", "relativeOrbitNumber", "eq '25'"), False),
        (any_of("Integer", "relativeOrbitNumber", "ge 25"), True),
        (any_of("Integer", "relativeOrbitNumber", "gt 25"), False),
        (any_of("Double", "cloudCover", "le 12.50"), True),
        (any_of("Double", "cloudCover", "lt 12"), False),
        (any_of("Double", "cloudCover", "gt -1.5e1"), True),
        (any_of("Boolean", "sliceProductFlag", "eq false"), True),
        (any_of("DateTimeOffset", "processingDate", "gt 2024-06-04T12:03:49.113Z"), True),
        (any_of("DateTimeOffset", "processingDate", "gt 2024-06-04T14:03:50+02:00"), False),
        (any_of("Integer", "spatialResolution", "lt 20"), False),  # typed Integer, but its value is a text
        (any_of("String", "nothing", "ne 'x'"), False),
        (any_of("String", "productType", "in ('IW_SLC__1S','IW_GRDH_1S')"), True),
    ],
)
def test_attributes_are_compared_by_name_and_type(text, holds):
    assert selects(text) is holds
    assert selects(f"not {text}") is not holds


def test_attributes_can_be_asked_for_without_the_cast_and_in_other_words():
    short = "Attributes/OData.CSC.StringAttribute/any(d:d/Name eq 'operationalMode' and {})"
    assert selects(short.format("d/Value eq 'IW'"))
    assert selects(short.format("(d/Value eq 'EW' or startswith(d/Value,'I'))"))
    assert not selects(short.format("contains(d/OData.CSC.StringAttribute/Value,'E')"))


def test_a_row_without_attributes_has_none_of_them():
    assert not selects(any_of("String", "productType", "ne 'x'"), row(Attributes=[]))


@pytest.mark.parametrize(
    ("wkt", "holds"),
    [
        ("POINT(114 -28)", True),
        ("POINT (0 0)", False),
        ("LINESTRING(110 -28, 120 -28)", True),
        ("POLYGON((110 -30, 120 -30, 120 -20, 110 -20, 110 -30))", True),
        ("POLYGON((10 30, 20 30, 20 20, 10 20, 10 30))", False),
        # the product is in the hole
        ("POLYGON((100 -40, 130 -40, 130 -10, 100 -10, 100 -40),(110 -30, 120 -30, 120 -20, 110 -20, 110 -30))", False),
        ("MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)),((114 -28, 115 -28, 115 -27.5, 114 -28)))", True),
    ],
)
def test_areas_of_every_kind_intersect_footprints(wkt, holds):
    assert selects(area(wkt)) is holds


def test_the_footprint_may_be_geojson_and_cross_the_antimeridian():
    west = [[[-180, 10], [-178, 10], [-178, 12], [-180, 12], [-180, 10]]]
    east = [[[178, 10], [180, 10], [180, 12], [178, 12], [178, 10]]]
    crossing = row(Footprint=None, GeoFootprint={"type": "MultiPolygon", "coordinates": [west, east]})
    assert selects(area("POINT(179 11)"), crossing)
    assert selects(area("POINT(-179 11)"), crossing)
    assert not selects(area("POINT(0 11)"), crossing)


def test_a_product_without_footprint_intersects_nothing():
    nowhere = row(Footprint=None, GeoFootprint=None)
    assert not selects(area("POLYGON((-180 -90, 180 -90, 180 90, -180 90, -180 -90))"), nowhere)


def test_quotes_are_doubled_and_texts_are_never_taken_for_operators():
    quoted = row(Name="it's not(a in ('b')) and 'so' on")
    assert selects("Name eq 'it''s not(a in (''b'')) and ''so'' on'", quoted)
    assert selects("contains(Name,'not(a in (''b''))')", quoted)
    assert not selects("Name eq 'x'' or Online eq true or Name eq ''x'", quoted)


def test_a_thousand_alternatives_are_accepted():
    names = [f"S1A_{number}.SAFE" for number in range(3000)]
    text = " or ".join(f"Name eq '{name}'" for name in names)
    assert selects(text, row(Name="S1A_2999.SAFE"))
    assert not selects(text, row(Name="S1A_3000.SAFE"))
    assert selects(" or ".join(["contains(Name,'z')"] * 3000 + ["Online eq true"]))


def test_deleted_products_have_other_fields():
    gone = row(DeletionDate="2024-07-01T00:00:00.000000Z", DeletionCause="Corrupted product")
    text = "DeletionCause eq 'Corrupted product' and DeletionDate lt 2024-07-02T00:00:00Z"
    assert parse_filter(text, DELETED_FIELD_KINDS).matches(gone)
    with pytest.raises(FilterError, match="DeletionCause"):
        selects(text)
    with pytest.raises(FilterError, match="Online"):
        parse_filter("Online eq true", DELETED_FIELD_KINDS)


@pytest.mark.parametrize(
    "text",
    [
        "Name",
        "'a'",
        "Name eq",
        "Name eq x",
        "Name eq 5",
        "Name = 'x'",
        "Name eq 'x' and",
        "(Name eq 'x'",
        "Name eq 'x' or or Name eq 'y'",
        "Name eq 'it's'",
        "Nmae eq 'x'",
        f"Id eq '{_ID}'",
        "Online eq 'true'",
        "Online gt false",
        "ContentDate/Start gt '2024-01-01T00:00:00Z'",
        "ContentDate/Start gt 2024-13-01T00:00:00Z",
        "ContentDate/Start gt 2024-02-30T00:00:00Z",
        "ContentDate gt 2024-01-01T00:00:00Z",
        "ContentDate/Start gt null",
        "ContentDate/Start gt 2024-01-01T00:00:00 02:00",  # a plus that was not encoded
        "not Name eq 'x'",
        "contains(Name,5)",
        "contains(Online,'x')",
        "tolower(Name) eq 'x'",
        "matches(Name,'x')",
        "Attributes/OData.CSC.TextAttribute/any(a:a/Name eq 'x')",
        "Attributes/OData.CSC.StringAttribute/any()",
        "Attributes/OData.CSC.StringAttribute/all(a:a/Name eq 'x')",
        "Attributes/OData.CSC.StringAttribute/any(a:b/Name eq 'x')",
        "Attributes/OData.CSC.StringAttribute/any(a:a/Name eq 'x' and a/OData.CSC.StringAttribute/Value eq 5)",
        "Attributes/OData.CSC.IntegerAttribute/any(a:a/Name eq 'x' and a/OData.CSC.StringAttribute/Value eq 5)",
        area("POLYGON((0 0, 1 1))"),
        area("POLYGON((0 0, 1 0, 0 1, 1 1, 0 0))"),
        area("POLYGON((170 0, 190 0, 190 1, 170 0))"),
        area("POLYGON EMPTY"),
        area("GEOMETRYCOLLECTION(POINT(0 0))"),
        area("nowhere"),
        "OData.CSC.Intersects(area=geography'SRID=3857;POINT(0 0)')",
        "OData.CSC.Intersects(area='POINT(0 0)')",
        "OData.CSC.Intersects(place=geography'SRID=4326;POINT(0 0)')",
    ],
)
def test_what_the_catalogue_does_not_understand_is_refused(text):
    with pytest.raises(FilterError):
        selects(text)


def test_an_index_may_leave_out_only_what_cannot_match():
    start, end = "ContentDate/Start ge 2024-01-01T00:00:00Z", "ContentDate/Start lt 1970-01-01T00:00:01Z"
    both = parse_filter(f"{start} and Online eq true and {end} and Name eq 'a'", FIELD_KINDS)
    assert (both.from_ns, both.to_ns) == (1_704_067_200_000_000_000, 1_000_000_000)
    assert both.among == {"Name": {"a"}}
    either = parse_filter(f"{start} or {end} or Name eq 'a'", FIELD_KINDS)
    assert (either.from_ns, either.to_ns, either.among) == (None, None, {})
    neither = parse_filter(f"not ({start}) and not (Name eq 'a')", FIELD_KINDS)
    assert (neither.from_ns, neither.to_ns, neither.among) == (None, None, {})
    assert parse_filter("Name in ('a','b') and Name in ('b','c')", FIELD_KINDS).among == {"Name": {"b"}}


@pytest.mark.parametrize(
    "text",
    [
        "Attributes/OData.Foo.StringAttribute/any(att:att/Name eq 'productType')",
        "Attributes/StringAttribute/any(att:att/Name eq 'productType')",
        "Attributes/odata.csc.StringAttribute/any(att:att/Name eq 'productType')",
        "Attributes/OData.CSC.StringAttribute/any(att:att/CSC.StringAttribute/Value eq 'x')",
        "Attributes/OData.CSC.DoubleAttribute/any(att:att/OData.DoubleAttribute/Value le 5.5)",
        "OData.CSC.Name eq 'x'",
        "Collection/OData.CSC.Name eq 'SENTINEL-1'",
        "Foo.Intersects(area=geography'SRID=4326;POINT(1 2)')",
    ],
)
def test_a_wrong_namespace_is_refused(text):
    with pytest.raises(FilterError):
        parse_filter(text, FIELD_KINDS)


def test_a_namespace_in_a_text_is_a_text():
    assert parse_filter("Name eq 'OData.Foo.StringAttribute'", FIELD_KINDS).among["Name"] == {
        "OData.Foo.StringAttribute"
    }


@pytest.mark.parametrize(
    ("kind", "type_name", "holds"),
    [
        ("S1_GRD", "GRD", True),
        ("S1_GRD", "SLC", False),
        ("S1_SLC", "SLC", True),
        ("S1_OCN", "OCN", True),
        ("S1_GRD", "GRD-COG", False),
        ("S2_L1C", "L1C", False),
    ],
)
def test_a_type_of_sentinel_1_is_found_by_its_class(site, kind, type_name, holds):
    product = site.add(kind)
    condition = "att/Name eq 'productType' and att/OData.CSC.StringAttribute/Value"
    wanted = parse_filter(f"Attributes/OData.CSC.StringAttribute/any(att:{condition} eq '{type_name}')", FIELD_KINDS)
    [row] = site.sandbox.catalogue.named(product.spec.safename)
    assert wanted.matches(row) is holds
