"""The catalogue of the sandbox: queries, pages, limits and errors as CDSE has them."""

import http.client
import json
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest

from cdsed.sandbox.catalogue import SandboxCatalogueSettings, generate_rows
from cdsed.sandbox.cataloguecalls import _utc
from cdsed.sandbox.faults import Fault
from cdsed.sandbox.zipper import zipped

FILTER_LIST = "Products/OData.CSC.FilterList"


def send(site, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any], http.client.HTTPMessage]:
    with closing(http.client.HTTPConnection("127.0.0.1", site.sandbox.port, timeout=20)) as connection:
        connection.request(method, path, body=None if body is None else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read()), response.headers


def ask(site, resource: str = "Products", **options: Any) -> tuple[int, dict[str, Any]]:
    query = urlencode({f"${name}": value for name, value in options.items()}, quote_via=quote)
    status, response, _headers = send(site, "GET", f"/odata/v1/{resource}?{query}")
    return status, response


def follow(site, response: dict[str, Any]) -> dict[str, Any]:
    link = urlsplit(response["@odata.nextLink"])
    return send(site, "GET", f"{link.path}?{link.query}")[1]


def filter_list(site, names: list[str], query: str = "") -> tuple[int, dict[str, Any]]:
    body = {"FilterProducts": [{"Name": name} for name in names]}
    status, response, _headers = send(site, "POST", f"/odata/v1/{FILTER_LIST}{query}", body)
    return status, response


def generate(site, count: int, **wanted: Any) -> None:
    status, response, _headers = send(site, "POST", "/_control/catalogue/generate", {"count": count, **wanted})
    assert (status, response) == (201, {"rows": count})


def names(response: dict[str, Any]) -> list[str]:
    return [entry["Name"] for entry in response["value"]]


def by_name(*products) -> str:
    return " or ".join(f"Name eq '{product.spec.safename}'" for product in products)


def test_products_are_found_by_name_and_unknown_names_are_left_out(site):
    one, other = site.add("S1_GRD"), site.add("S2_L1C")
    status, response = ask(site, filter=f"{by_name(one, other)} or Name eq 'S1A_NOTHING.SAFE'")
    assert status == 200
    entries = {entry["Name"]: entry for entry in response["value"]}
    assert entries.keys() == {one.spec.safename, other.spec.safename}
    entry = entries[one.spec.safename]
    assert entry["S3Path"] == one.s3_path
    assert entry["Online"] is True
    assert entry["ContentLength"] == one.spec.size_bytes
    assert len(entry["Id"]) == 36


def test_the_checksum_of_a_single_object_is_that_of_its_content(site):
    product = site.add("S5P")
    _status, response = ask(site, filter=by_name(product))
    truth = product.truth()[product.spec.safename]
    md5, blake3 = response["value"][0]["Checksum"]
    assert (md5["Algorithm"], md5["Value"]) == ("MD5", truth.md5)
    assert (blake3["Algorithm"], len(blake3["Value"])) == ("BLAKE3", 64)


def test_length_and_checksum_of_a_zip_come_from_the_request_for_it(site):
    product = site.add("S1_GRD", zipped=True)
    (entry,) = ask(site, filter=by_name(product))[1]["value"]
    body = zipped(product)
    assert (entry["ContentLength"], entry["Checksum"][0]["Value"]) == (body.size_bytes, body.digest("md5"))


def test_old_products_have_no_checksum_and_some_no_footprint(site):
    old = site.add("S1_GRD", has_checksums=False, footprint="null")
    (entry,) = ask(site, filter=by_name(old))[1]["value"]
    assert entry["Checksum"] == []
    assert entry["Footprint"] is entry["GeoFootprint"] is None


def test_offline_and_unknown_products_differ(site):
    offline, hidden = site.add("S5P", online=False), site.add("S5P", index=1, in_catalogue=False)
    _status, response = ask(site, filter=by_name(offline, hidden))
    assert [(entry["Name"], entry["Online"]) for entry in response["value"]] == [(offline.spec.safename, False)]


def test_a_product_that_is_put_there_again_replaces_its_entry(site):
    product = site.add("S5P")
    site.add("S5P", online=False)
    assert [entry["Online"] for entry in ask(site, filter=by_name(product))[1]["value"]] == [False]
    site.add("S5P", in_catalogue=False)
    assert ask(site, filter=by_name(product))[1]["value"] == []


def test_the_same_name_at_two_places_is_two_entries(site):
    product = site.add("S5P")
    later = site.add("S5P", s3_path=f"{product.s3_path}_N0500", published_at="2026-01-01T00:00:00Z")
    _status, response = ask(site, filter=by_name(product), orderby="PublicationDate desc")
    assert [entry["Id"] for entry in response["value"]] == [later.product_id, product.product_id]
    assert response["value"][0]["PublicationDate"] == "2026-01-01T00:00:00.000000Z"


def test_entries_carry_typed_attributes_assets_and_locations_only_when_expanded(site):
    product = site.add("S1_GRD")
    plain = ask(site, filter=by_name(product))[1]
    assert plain["@odata.context"] == "$metadata#Products"
    assert not {"Attributes", "Assets", "Locations"} & plain["value"][0].keys()
    path = f"/odata/v1/Products?$expand=Attributes&$expand=Assets&$filter={quote(by_name(product))}"
    _status, response, _headers = send(site, "GET", path)
    assert response["@odata.context"] == "$metadata#Products(Attributes(),Assets())"
    (entry,) = response["value"]
    values = {attribute["Name"]: attribute for attribute in entry["Attributes"]}
    assert values["orbitNumber"] == {
        "@odata.type": "#OData.CSC.IntegerAttribute",
        "Name": "orbitNumber",
        "Value": int(product.name.fields["orbit"]),
        "ValueType": "Integer",
    }
    assert values["productType"]["Value"] == product.spec.safename[4:14]
    assert values["polarisationChannels"]["Value"] in {"HH", "VV", "HH&HV", "VV&VH"}
    assert values["beginningDateTime"]["Value"] == entry["ContentDate"]["Start"]
    assert {attribute["ValueType"] for attribute in entry["Attributes"]} == {
        "String",
        "Integer",
        "Double",
        "Boolean",
        "DateTimeOffset",
    }
    assert entry["Assets"][0]["Type"] == "QUICKLOOK"
    assert "Locations" not in entry


@pytest.mark.parametrize("kind", ["S1_GRD", "S1_WV", "S2_L1C", "S2_L2A", "S3", "S5P"])
def test_moments_and_footprints_fit_the_name_and_are_always_the_same(site, kind):
    product = site.add(kind)
    (entry,) = ask(site, filter=by_name(product))[1]["value"]
    assert entry["ContentDate"]["Start"].startswith(f"{product.name.start:%Y-%m-%dT%H:%M:%S}.")
    assert entry["ContentDate"]["Start"] <= entry["ContentDate"]["End"] < entry["PublicationDate"]
    assert entry["OriginDate"] < entry["PublicationDate"] < entry["ModificationDate"]
    assert all(len(entry[name]) == len("2024-06-04T12:12:03.404000Z") for name in ("OriginDate", "PublicationDate"))
    assert entry["EvictionDate"] == "9999-12-31T23:59:59.999999Z"
    assert entry["Footprint"].startswith(f"geography'SRID=4326;{entry['GeoFootprint']['type'].upper()} ((")
    assert ask(site, filter=by_name(product))[1]["value"] == [entry]


def test_a_footprint_across_the_antimeridian_is_a_multipolygon(site):
    crossing = site.add("S1_GRD", footprint="POLYGON((178 10, 182 10, 182 12, 178 12, 178 10))")
    (entry,) = ask(site, filter=by_name(crossing))[1]["value"]
    assert entry["GeoFootprint"]["type"] == "MultiPolygon"
    longitudes = [point[0] for part in entry["GeoFootprint"]["coordinates"] for point in part[0]]
    assert (min(longitudes), max(longitudes)) == (-180, 180)
    for point in ("POINT(179 11)", "POINT(-179 11)"):
        text = f"OData.CSC.Intersects(area=geography'SRID=4326;{point}')"
        assert names(ask(site, filter=text)[1]) == [crossing.spec.safename]


def test_pages_are_limited_counted_and_linked(site):
    products = [site.add("S5P", index=index) for index in range(25)]
    _status, response = ask(site, filter=by_name(*products), orderby="ContentDate/Start asc", count="true")
    assert (len(response["value"]), response["@odata.count"]) == (20, 25)
    assert response["@odata.nextLink"].startswith(f"{site.sandbox.url}/odata/v1/Products?%24filter=Name+eq+%27S5P_")
    following = follow(site, response)
    assert len(following["value"]) == 5
    assert "@odata.nextLink" not in following
    assert {*names(response), *names(following)} == {product.spec.safename for product in products}
    assert len(ask(site, filter=by_name(*products), top="1000")[1]["value"]) == 25
    empty = ask(site, filter=by_name(*products), top="0", count="1")[1]
    assert empty == {"@odata.context": "$metadata#Products", "@odata.count": 25, "value": []}


def test_without_an_order_each_request_has_another_one(site):
    generate(site, 300)
    assert names(ask(site, top="300")[1]) != names(ask(site, top="300")[1])
    first = names(ask(site, top="300", orderby="ContentDate/Start")[1])
    assert first == names(ask(site, top="300", orderby="ContentDate/Start asc")[1])
    assert first[::-1] == names(ask(site, top="300", orderby="ContentDate/Start desc")[1])


def test_ties_are_ordered_by_id(site):
    generate(site, 100)
    rows = ask(site, top="100", orderby="ModificationDate")[1]["value"]
    same = [{**row, "PublicationDate": "2024-01-01T00:00:00Z"} for row in rows]
    send(site, "POST", "/_control/catalogue/load", {"value": same})
    for direction in ("asc", "desc"):
        found = ask(site, top="100", orderby=f"PublicationDate {direction}")[1]["value"]
        assert [row["Id"] for row in found] == sorted(row["Id"] for row in rows)


def test_no_link_leads_beyond_the_reach_of_skip(site):
    generate(site, 11_500)
    _status, response = ask(site, top="1000", skip="9000", orderby="ContentDate/Start")
    last = follow(site, response)
    assert len(last["value"]) == 1000
    assert "@odata.nextLink" not in last
    assert ask(site, top="1", skip="10000", orderby="ContentDate/Start")[1]["value"] == last["value"][:1]


def test_numbers_out_of_range_are_422_in_the_words_of_fastapi(site):
    status, response = ask(site, top="1001", skip="-1")
    assert status == 422
    assert response["detail"] == [
        {
            "type": "less_than_equal",
            "loc": ["query", "$top"],
            "msg": "Input should be less than or equal to 1000",
            "input": "1001",
            "ctx": {"le": 1000},
        },
        {
            "type": "greater_than_equal",
            "loc": ["query", "$skip"],
            "msg": "Input should be greater than or equal to 0",
            "input": "-1",
            "ctx": {"ge": 0},
        },
    ]
    status, response = ask(site, skip="10001")
    assert (status, response["detail"][0]["ctx"]) == (422, {"le": 10000})
    assert ask(site, top="many")[1]["detail"][0]["type"] == "int_parsing"


@pytest.mark.parametrize(
    "options",
    [
        {"filter": "Name eq"},
        {"filter": "Nmae eq 'x'"},
        {"orderby": "Footprint"},
        {"orderby": "ContentDate/Start upwards"},
        {"select": "Id,Nmae"},
        {"expand": "Everything"},
    ],
)
def test_a_malformed_question_is_400(site, options):
    status, response = ask(site, **options)
    assert status == 400
    assert response["detail"].startswith("Invalid value")


def test_fields_can_be_selected_and_the_id_always_comes(site):
    product = site.add("S1_GRD")
    (entry,) = ask(site, filter=by_name(product), select="Name,ContentDate")[1]["value"]
    assert entry.keys() == {"@odata.mediaContentType", "Id", "Name", "ContentDate"}


def test_one_product_is_asked_for_by_its_bare_id(site):
    product = site.add("S1_GRD")
    status, entry = ask(site, f"Products({product.product_id})", expand="Attributes")
    assert (status, entry["Name"]) == (200, product.spec.safename)
    assert entry["@odata.context"] == "$metadata#Products(Attributes())/$entity"
    assert len(entry["Attributes"]) > 10
    status, response = ask(site, "Products(67360f3a-f36b-11ef-9d3f-0050561a7772)")
    assert (status, response["detail"].keys()) == (404, {"message", "request_id"})
    status, response = ask(site, f"Products('{product.product_id}')")
    assert (status, response["detail"][0]["loc"]) == (422, ["path", "product_id"])
    assert ask(site, "Nothing")[0] == 404
    assert send(site, "POST", "/odata/v1/Products")[0] == 405


def test_a_list_of_names_is_answered_in_one_request_without_the_unknown(site):
    generate(site, 500)
    wanted = names(ask(site, top="400", orderby="ContentDate/Start")[1])
    status, response = filter_list(site, [*wanted, wanted[0], "S1A_NOTHING.SAFE"])
    assert status == 200
    assert sorted(names(response)) == sorted(wanted)
    expanded = filter_list(site, wanted[:3], "?$expand=Attributes&$top=2")[1]
    assert [len(entry["Attributes"]) > 10 for entry in expanded["value"]] == [True, True]


def test_a_list_of_names_may_be_limited_in_length_and_answer(site):
    generate(site, 50)
    wanted = names(ask(site, top="50")[1])
    site.sandbox.catalogue.settings = SandboxCatalogueSettings(filter_list_max=30, filter_list_page=10)
    status, response = filter_list(site, wanted)
    assert status == 422
    assert response["detail"][0]["type"] == "too_long"
    assert response["detail"][0]["ctx"] == {"field_type": "List", "max_length": 30, "actual_length": 50}
    status, response = filter_list(site, wanted[:30])
    assert (status, len(response["value"])) == (200, 10)


@pytest.mark.parametrize("body", [{}, [], {"FilterProducts": "x"}, {"FilterProducts": [{"Nmae": "x"}]}])
def test_a_list_that_is_none_is_422(site, body):
    status, response, _headers = send(site, "POST", f"/odata/v1/{FILTER_LIST}", body)
    assert (status, response["detail"][0]["loc"][0]) == (422, "body")
    assert ask(site, FILTER_LIST)[0] == 405


def test_deleted_products_are_found_apart_with_cause_and_moment(site):
    cause = {"cause": "Corrupted product", "at": "2025-03-01T10:00:00Z"}
    name = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
    status, response, _headers = send(site, "POST", "/_control/products", [{"safename": name, "deleted": cause}])
    assert status == 201
    key = response["products"][name].removeprefix("/eodata/")
    assert ask(site, filter=f"Name eq '{name}'")[1]["value"] == []
    text = f"Name eq '{name}' and DeletionDate gt 2025-01-01T00:00:00Z and DeletionCause eq 'Corrupted product'"
    (entry,) = ask(site, "DeletedProducts", filter=text, orderby="DeletionDate desc")[1]["value"]
    assert entry["DeletionCause"] == "Corrupted product"
    assert entry["DeletionDate"] == "2025-03-01T10:00:00.000000Z"
    assert not {"Online", "S3Path", "PublicationDate"} & entry.keys()
    assert ask(site, f"DeletedProducts({entry['Id']})")[1]["Name"] == name
    assert ask(site, f"Products({entry['Id']})")[0] == 404
    assert site.connect().get(f"{key}/manifest.safe")[0] == 404
    send(site, "POST", "/_control/products", [{"safename": name}])
    assert ask(site, "DeletedProducts", filter=f"Name eq '{name}'")[1]["value"] == []
    assert names(ask(site, filter=f"Name eq '{name}'")[1]) == [name]


def test_generated_rows_are_spread_over_the_window_and_follow_from_the_seed(site):
    window = {"collection": "SENTINEL-2", "start": "2024-05-01", "end": "2024-05-11"}
    generate(site, 1000, seed=5, **window)
    rows = ask(site, top="1000", orderby="ContentDate/Start", filter="Collection/Name eq 'SENTINEL-2'")[1]["value"]
    assert len({row["Name"] for row in rows}) == len({row["Id"] for row in rows}) == 1000
    assert all("2024-05-01T" <= row["ContentDate"]["Start"] < "2024-05-11T" for row in rows)
    day = "ContentDate/Start ge 2024-05-03T00:00:00Z and ContentDate/Start lt 2024-05-04T00:00:00Z"
    assert ask(site, filter=day, count="true", top="0")[1]["@odata.count"] == pytest.approx(100, abs=2)
    generate(site, 1000, seed=5, **window)
    assert ask(site, count="true", top="0")[1]["@odata.count"] == 1000
    generate(site, 1000, seed=6, **window)
    assert ask(site, count="true", top="0")[1]["@odata.count"] == 2000
    send(site, "DELETE", "/_control/catalogue")
    assert ask(site, count="true")[1]["@odata.count"] == 0


def test_what_cannot_be_generated_is_refused(site):
    for wanted in (
        {},
        {"count": 5, "collection": "SENTINEL-9"},
        {"count": 5, "start": "2024-02-01"},
        {"count": 1, "x": 1},
    ):
        assert send(site, "POST", "/_control/catalogue/generate", wanted)[0] == 400
    assert send(site, "POST", "/_control/catalogue/settings", {"x": 1})[0] == 400
    assert send(site, "POST", "/_control/catalogue/load", [{"value": [{"Name": "x"}]}])[0] == 400
    assert send(site, "POST", "/_control/catalogue/other", {})[0] == 404
    name = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
    for wrong in ({"footprint": "here"}, {"deleted": "yes"}, {"published_at": "once"}):
        assert send(site, "POST", "/_control/products", [{"safename": name, **wrong}])[0] == 400


def test_many_rows_are_found_by_time_as_a_look_at_each_would_find_them(site):
    generate(site, 25_000, start="2024-01-01", end="2024-02-01")
    rows = list(generate_rows(25_000, 1, "SENTINEL-1", _utc("2024-01-01"), _utc("2024-02-01")))
    window = "ContentDate/Start ge 2024-01-10T00:00:00Z and ContentDate/Start lt 2024-01-11T00:00:00Z"
    expected = {row.name for row in rows if row.entry(())["ContentDate"]["Start"].startswith("2024-01-10T")}
    status, response = ask(site, filter=window, top="1000", orderby="ContentDate/Start")
    assert status == 200
    assert set(names(response)) == expected
    assert 700 < len(expected) < 900


def test_a_rate_beyond_the_limit_gets_the_words_of_the_waf(site):
    site.sandbox.catalogue.settings = SandboxCatalogueSettings(requests_per_s=0.1, retry_after_s=7)
    assert ask(site, top="1")[0] == 200
    status, response, headers = send(site, "GET", "/odata/v1/Products")
    assert status == 429
    assert response == {"error": "WAF", "message": "Rate limit exceeded", "status": 429}
    assert headers["Retry-After"] == "7"


@pytest.mark.parametrize(("kind", "status"), [("throttle", 429), ("internal_error", 500), ("slow_down", 503)])
def test_faults_reach_the_catalogue_too(site, kind, status):
    site.sandbox.faults.add(Fault(kind, operation="odata", times=1))
    answered, response = ask(site, filter="Name eq 'x'")
    assert answered == status
    assert ("error" in response) is (kind == "throttle")
    assert ask(site, filter="Name eq 'x'")[0] == 200
    assert site.sandbox.counters.values()["odata_requests"] == 2


def test_a_fault_can_hit_each_third_request(site):
    site.sandbox.faults.add(Fault("internal_error", operation="odata", every=3, times=2))
    assert [ask(site, top="1")[0] for _ in range(10)] == [200, 200, 500, 200, 200, 500, 200, 200, 200, 200]


def test_the_log_tells_what_was_asked(site):
    ask(site, top="7", filter="Online eq true")
    entry = site.sandbox.counters.last_requests(1)[0]
    assert entry["key"] == "Online eq true"
    assert dict(parse_qsl(entry["query"])) == {"$top": "7", "$filter": "Online eq true"}
