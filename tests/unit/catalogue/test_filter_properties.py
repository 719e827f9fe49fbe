"""For any query: the filter, evaluated by the sandbox, selects what the query says."""

import json
from datetime import UTC, datetime, timedelta
from operator import eq, ge, gt, le, lt, ne

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import translate

from cdsed.catalogue.attributes import AttributeFilter, Operator
from cdsed.catalogue.filter import filter_text
from cdsed.catalogue.query import Query
from cdsed.sandbox.catalogue import generate_rows
from cdsed.sandbox.odatafilter import parse_filter
from cdsed.sandbox.rows import FIELD_KINDS

_START, _END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)
_COMPARISONS = {"eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge}

ROWS = [row for collection in ("SENTINEL-1", "SENTINEL-2") for row in generate_rows(60, 1, collection, _START, _END)]
ENTRIES = [row.entry(("Attributes",)) for row in ROWS]
COLLECTIONS = [row.value("Collection/Name") for row in ROWS]
_FOOTPRINTS = [shapely.from_geojson(json.dumps(entry["GeoFootprint"])) for entry in ENTRIES]
SHAPES = np.array([[translate(shape, 360 * turn) for turn in (-1, 0, 1)] for shape in _FOOTPRINTS])
ATTRIBUTES = [{each["Name"]: each for each in entry["Attributes"]} for entry in ENTRIES]


def value_of(attribute):
    value = attribute["Value"]
    return datetime.fromisoformat(value) if attribute["ValueType"] == "DateTimeOffset" else value


SEEN = sorted(
    {(name, each["ValueType"], value_of(each)) for attributes in ATTRIBUTES for name, each in attributes.items()},
    key=repr,
)


def selected(query, number):
    """Whether the query without its area selects a row, judged by the row's JSON alone."""
    entry, attributes = ENTRIES[number], ATTRIBUTES[number]
    start = datetime.fromisoformat(entry["ContentDate"]["Start"])

    def has(name, compare, wanted, kind=None):
        each = attributes.get(name)
        return each is not None and (kind is None or each["ValueType"] == kind) and compare(value_of(each), wanted)

    conditions = [
        query.start is None or query.start <= start,
        query.end is None or start < query.end,
        query.collection in {None, COLLECTIONS[number]},
        query.fits(entry["Name"]),
        query.online in {None, entry["Online"]},
        query.sensor_mode is None or has("operationalMode", eq, query.sensor_mode),
        query.product_type is None or has("productType", eq, query.product_type),
        query.polarisation is None or has("polarisationChannels", eq, query.polarisation),
        query.orbit is None or has("orbitNumber", eq, query.orbit),
        query.relative_orbit is None or has("relativeOrbitNumber", eq, query.relative_orbit),
        query.orbit_direction is None or has("orbitDirection", eq, query.orbit_direction),
        query.cloud_max_percent is None or has("cloudCover", le, query.cloud_max_percent),
        *(has(each.name, _COMPARISONS[each.operator], each.value, each.type.value) for each in query.attributes),
    ]
    return all(conditions)


def continuous(part):
    """Return a part whose longitudes do not jump, by numpy's way of unwrapping angles."""

    def unwrapped(ring):
        x, y = np.array(ring.coords).T
        return np.column_stack([np.unwrap(x, period=360), y])

    if part.geom_type == "Point":
        return part
    if part.geom_type == "LineString":
        return shapely.LineString(unwrapped(part))
    shell = shapely.Polygon(unwrapped(part.exterior))
    holes = [translate(shapely.Polygon(unwrapped(ring)), 360 * turn) for ring in part.interiors for turn in (-1, 0, 1)]
    return shapely.difference(shell, shapely.union_all([hole for hole in holes if shell.covers(hole)]))


def met(area):
    """Whether an area meets the footprint, for every row."""
    wholes = [continuous(part) for part in shapely.get_parts(area)]
    return np.any([shapely.intersects(whole, SHAPES).any(axis=1) for whole in wholes], axis=0)


@st.composite
def polygons(draw):
    """Boxes, some with a hole, some across the antimeridian in either way of writing."""
    west = draw(st.integers(-180, 179)) + 0.123
    width, south = draw(st.integers(2, 120)), draw(st.integers(-80, 60)) + 0.456
    north = min(89.0, south + draw(st.integers(2, 60)))
    jumps = draw(st.booleans())

    def ring(margin):
        edges = [west + margin, west + width - margin]
        xs = [(x + 180) % 360 - 180 for x in edges] if jumps else edges
        low, high = south + margin, north - margin
        return [(xs[0], low), (xs[1], low), (xs[1], high), (xs[0], high)]

    has_hole = draw(st.booleans()) and width > 4 and north - south > 4
    return shapely.Polygon(ring(0), [ring(1.5)] if has_hole else [])


areas = st.one_of(
    polygons(),
    st.lists(polygons(), min_size=2, max_size=3).map(shapely.MultiPolygon),
    st.builds(shapely.Point, st.floats(-190, 190), st.floats(-89, 89)),
    st.lists(st.tuples(st.floats(-179, 179), st.floats(-89, 89)), min_size=2, max_size=4, unique=True).map(
        shapely.LineString
    ),
)
timestamps = st.datetimes(_START.replace(tzinfo=None), _END.replace(tzinfo=None), timezones=st.just(UTC))
starts = st.sampled_from([datetime.fromisoformat(entry["ContentDate"]["Start"]) for entry in ENTRIES])


@st.composite
def windows(draw):
    start = draw(st.none() | timestamps | starts)
    end = draw(st.none() | timestamps | starts)
    if start and end and start >= end:
        end = start + timedelta(microseconds=draw(st.integers(1, 10**12)))
    return start, end


@st.composite
def names(draw):
    name = draw(st.sampled_from(ENTRIES))["Name"]
    first, last = sorted((draw(st.integers(0, len(name))), draw(st.integers(0, len(name)))))
    return draw(st.sampled_from([name, f"{name[:first]}*", f"*{name[last:]}", f"*{name[first:last]}*", "it's*", "*'*"]))


@st.composite
def conditions(draw):
    name, kind, value = draw(st.sampled_from(SEEN))
    operator = draw(st.sampled_from([Operator.EQ, Operator.NE] if kind == "Boolean" else list(Operator)))
    match kind:
        case "Integer":
            value += draw(st.integers(-2, 2))
        case "Double":
            value = draw(st.just(float(value)) | st.floats(-1e9, 1e9))
        case "String":
            value += draw(st.sampled_from(["", "", "'", " or true"]))
        case "DateTimeOffset":
            value += timedelta(microseconds=draw(st.integers(-1, 1)))
    return AttributeFilter(name, operator, value)


def of_attribute(name):
    return st.none() | st.sampled_from(sorted({value for each, _kind, value in SEEN if each == name}, key=str))


cloud_covers = st.floats(0, 100) | st.sampled_from([value for name, _, value in SEEN if name == "cloudCover"])


@st.composite
def queries(draw):
    start, end = draw(windows())
    return Query(
        start=start,
        end=end,
        area=draw(st.none() | areas),
        collection=draw(st.none() | st.sampled_from(["SENTINEL-1", "SENTINEL-2", "SENTINEL-3", "O'Neil"])),
        name=draw(st.none() | names()),
        sensor_mode=draw(of_attribute("operationalMode")),
        product_type=draw(of_attribute("productType")),
        polarisation=draw(of_attribute("polarisationChannels")),
        orbit=draw(of_attribute("orbitNumber")),
        relative_orbit=draw(of_attribute("relativeOrbitNumber")),
        orbit_direction=draw(of_attribute("orbitDirection")),
        cloud_max_percent=draw(st.none() | cloud_covers),
        online=draw(st.none() | st.booleans()),
        attributes=tuple(draw(st.lists(conditions(), max_size=2))),
    )


def assert_same(query):
    wanted = parse_filter(filter_text(query, query.start, query.end), FIELD_KINDS)
    by_filter = [row.value("Name") for row in ROWS if wanted.matches(row)]
    inside = [True] * len(ROWS) if query.area is None else met(query.area)
    by_query = [entry["Name"] for number, entry in enumerate(ENTRIES) if inside[number] and selected(query, number)]
    assert by_filter == by_query


@settings(deadline=None, max_examples=200)
@given(queries())
def test_any_query_selects_what_it_says(query):
    assert_same(query)


# All conditions together select few rows. Each kind alone selects some.


@settings(deadline=None, max_examples=200)
@given(areas)
def test_any_area_selects_the_footprints_it_meets(area):
    assert_same(Query(area=area))


@settings(deadline=None, max_examples=200)
@given(conditions())
def test_any_condition_selects_the_products_that_meet_it(condition):
    assert_same(Query(attributes=(condition,)))


@settings(deadline=None, max_examples=100)
@given(cloud_covers, of_attribute("orbitNumber"), st.none() | st.booleans())
def test_any_cloud_cover_orbit_and_availability_select_the_products_that_have_them(cloud, orbit, online):
    assert_same(Query(cloud_max_percent=cloud, online=online))
    assert_same(Query(orbit=orbit, online=online))


@settings(deadline=None, max_examples=100)
@given(windows(), names())
def test_any_window_and_name_select_the_products_in_it(window, name):
    assert_same(Query(start=window[0], end=window[1], name=name))


def test_the_rows_have_attributes_of_every_type_and_footprints_on_both_sides_of_the_antimeridian():
    assert {each["ValueType"] for attributes in ATTRIBUTES for each in attributes.values()} == {
        "String",
        "Integer",
        "Double",
        "DateTimeOffset",
        "Boolean",
    }
    assert sum(shape is not None and shape.geom_type == "MultiPolygon" for shape in _FOOTPRINTS) >= 1
