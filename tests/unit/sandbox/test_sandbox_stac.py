"""The STAC API: what is found, in which form, page after page."""

import http.client
import json
from contextlib import closing
from urllib.parse import quote, urlencode, urlsplit

import pytest

from cdsed.sandbox.stacitems import collection_id, item_id

_API = "/stac/v1"
_S5P_END = "20211211T104909_20211211T123039_21566_02_020301_20211213T011704.nc"


class Api:
    def __init__(self, site):
        self.site = site

    def ask(self, path, body=None, method=None):
        with closing(http.client.HTTPConnection("127.0.0.1", self.site.sandbox.port, timeout=10)) as connection:
            data = None if body is None else json.dumps(body)
            connection.request(method or ("GET" if body is None else "POST"), path, data)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def ids(self, **body):
        status, document = self.ask(f"{_API}/search", body)
        assert status == 200, document
        return [item["id"] for item in document["features"]]


@pytest.fixture
def api(site):
    return Api(site)


@pytest.mark.parametrize(
    ("name", "collection"),
    [
        ("S1A_IW_SLC__1SDV_20250104T000000_20250104T000027_057287_070C52_C1A6.SAFE", "sentinel-1-slc"),
        ("S1A_WV_SLC__1SSV_20221101T034802_20221101T035539_045695_057704_0FB9.SAFE", "sentinel-1-slc-wv"),
        ("S1A_IW_GRDH_1SDV_20250104T000000_20250104T000027_057287_070C52_C1A6_COG.SAFE", "sentinel-1-grd"),
        ("S2A_MSIL2A_20220217T183431_N0510_R027_T13VEK_20240516T022440.SAFE", "sentinel-2-l2a"),
        (
            "S3A_OL_1_EFR____20160406T012156_20160406T012355_20241003T093342_0119_002_345_1440_MAR_R_NT_004.SEN3",
            "sentinel-3-olci-1-efr-ntc",
        ),
        (
            "S3A_SR_2_LAN_HY_20160406T012156_20160406T012355_20241003T093342_0119_002_345______LN3_R_NT_005.SEN3",
            "sentinel-3-sr-2-lan-hy-ntc",
        ),
        (
            "S3B_SL_2_AOD____20250406T012156_20250406T012355_20250406T093342_0119_002_345_1440_MAR_O_NR_004.SEN3",
            "sentinel-3-sl-2-aod-nrt",
        ),
        (
            "S5P_OFFL_L2__NO2____20211211T104909_20211211T123039_21566_02_020301_20211213T011704.nc",
            "sentinel-5p-l2-no2-offl",
        ),
        (
            "S5P_RPRO_L2__AER_AI_20211211T104909_20211211T123039_21566_02_020301_20211213T011704.nc",
            "sentinel-5p-l2-aer-ai-rpro",
        ),
        (
            "S5P_OFFL_L1B_RA_BD1_20211211T104909_20211211T123039_21566_02_020301_20211213T011704.nc",
            "sentinel-5p-l1-ra-bd1-offl",
        ),
        ("S6A_P4_2__LR______20220101T000000_20220101T000000_0001.SEN6", None),
    ],
)
def test_a_product_is_in_the_collection_of_cdse(name, collection):
    assert collection_id(name) == collection


def test_an_item_has_the_form_of_cdse(api):
    product = api.site.add("S2_L2A")
    name, url = product.spec.safename, api.site.sandbox.url
    status, item = api.ask(f"{_API}/collections/sentinel-2-l2a/items/{item_id(name)}")
    assert (status, item["id"], item["collection"]) == (200, name.removesuffix(".SAFE"), "sentinel-2-l2a")
    assert item["properties"]["grid:code"] == f"MGRS-{name[39:44]}"
    assert item["properties"]["platform"] == f"sentinel-{name[1:3].lower()}"
    assert item["assets"]["safe_manifest"]["href"] == f"s3:/{product.s3_path}/manifest.safe"
    assert item["assets"]["Product"]["href"] == f"{url}/download/odata/v1/Products({product.product_id})/$value"
    assert [link["href"] for link in item["links"] if link["rel"] == "enclosure"] == [f"s3:/{product.s3_path}/"]
    west, south, east, north = item["bbox"]
    assert -180 <= west < east <= 180
    assert -90 <= south < north <= 90


def test_a_product_of_one_file_is_that_file(api):
    product = api.site.add("S5P")
    [item] = api.ask(f"{_API}/search", {"ids": [item_id(product.spec.safename)]})[1]["features"]
    assert list(item["assets"]) == ["netcdf"]
    assert item["assets"]["netcdf"]["href"] == f"s3:/{product.s3_path}"
    assert item["assets"]["netcdf"]["file:size"] == 300_000
    assert [link for link in item["links"] if link["rel"] == "enclosure"] == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_have_each_item_once_newest_first(api, method):
    for index in range(7):
        api.site.add("S1_GRD", index=index)
    body = {"collections": ["sentinel-1-grd"], "limit": 3}
    if method == "GET":
        document = api.ask(f"{_API}/search?{urlencode({'collections': 'sentinel-1-grd', 'limit': 3})}")[1]
    else:
        document = api.ask(f"{_API}/search", body)[1]
    times, pages = [], 0
    while True:
        pages += 1
        times += [item["properties"]["datetime"] for item in document["features"]]
        following = [link for link in document["links"] if link["rel"] == "next"]
        if not following:
            break
        parts = urlsplit(following[0]["href"])
        document = api.ask(f"{parts.path}?{parts.query}", following[0].get("body"))[1]
    assert (pages, len(set(times))) == (3, 7)
    assert times == sorted(times, reverse=True)


def test_a_search_narrows_by_time_area_and_property(api):
    products = [api.site.add("S1_GRD", index=index) for index in range(5)]
    ids = [item_id(product.spec.safename) for product in products]
    item = api.ask(f"{_API}/collections/sentinel-1-grd/items/{ids[2]}")[1]
    start, end = item["properties"]["start_datetime"], item["properties"]["end_datetime"]
    assert api.ids(datetime=f"{start}/{end}") == [ids[2]]
    assert api.ids(datetime=end) == [ids[2]]
    assert ids[2] in api.ids(bbox=item["bbox"])
    assert ids[2] in api.ids(intersects=item["geometry"])
    orbit = item["properties"]["sat:absolute_orbit"]
    assert api.ids(query={"sat:absolute_orbit": {"gte": orbit, "lte": orbit}}) == [ids[2]]
    assert api.ids(query={"eo:cloud_cover": {"lt": 100}}) == []
    assert api.ids(collections=["unknown"]) == []
    assert api.ids(sortby=[{"field": "properties.datetime", "direction": "asc"}]) == list(reversed(api.ids()))


def test_an_area_over_the_antimeridian_is_two(api):
    safename_id = item_id(
        api.site.add("S1_GRD", footprint="POLYGON((179 0, 179.9 0, 179.9 1, 179 1, 179 0))").spec.safename
    )
    assert api.ids(bbox=[178, -1, -178, 2]) == [safename_id]
    assert api.ids(bbox=[-178, -1, 178, 2]) == []


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": "ten"},
        {"datetime": "2024-01-01"},
        {"datetime": "2024-02-01T00:00:00Z/2024-01-01T00:00:00Z"},
        {"datetime": "../.."},
        {"bbox": [1, 2, 3]},
        {"bbox": [1, 2, 3, 4], "intersects": {"type": "Point", "coordinates": [1, 2]}},
        {"intersects": {"type": "Nothing"}},
        {"query": {"eo:cloud_cover": {"about": 5}}},
        {"query": 7},
        {"sortby": [{"field": "eo:cloud_cover"}]},
        {"token": "next:sentinel-2-l2a:unknown"},
        {"filter": {"op": "="}},
        {"fields": {"include": ["id"]}},
    ],
    ids=lambda body: json.dumps(body)[:40],
)
def test_a_search_that_is_not_understood_is_refused_not_answered_with_too_much(api, body):
    status, document = api.ask(f"{_API}/search", body)
    assert (status, document["code"]) == (400, "InvalidQueryParameter")


def test_the_landing_page_leads_to_everything(api):
    api.site.add("S1_SLC")
    status, page = api.ask(f"{_API}/")
    assert (status, page["type"]) == (200, "Catalog")
    for link in page["links"]:
        if link.get("method") != "POST":
            assert api.ask(urlsplit(link["href"]).path)[0] == 200, link
    assert api.ask(f"{_API}/conformance")[1]["conformsTo"] == page["conformsTo"]


@pytest.mark.parametrize(
    "path", ["collections/unknown", "collections/unknown/items", "collections/sentinel-1-slc/items/x", "y"]
)
def test_what_is_not_there_is_not_found(api, path):
    assert api.ask(f"{_API}/{quote(path)}")[0] == 404


def test_the_firewall_is_before_the_api(api):
    api.site.sandbox.catalogue.settings = api.site.sandbox.catalogue.settings.changed({"requests_per_s": 1})
    assert [api.ask(f"{_API}/conformance")[0] for _ in range(2)] == [200, 429]
