"""The catalogue of the sandbox: products by name."""

import http.client
import json
from contextlib import closing
from urllib.parse import quote, urlsplit

import pytest

from cdsed.sandbox.faults import Fault


def ask(site, **options: str) -> tuple[int, dict]:
    query = "&".join(f"%24{name}={quote(value)}" for name, value in options.items())
    with closing(http.client.HTTPConnection("127.0.0.1", site.sandbox.port, timeout=10)) as connection:
        connection.request("GET", f"/odata/v1/Products?{query}")
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def by_name(*products) -> str:
    return " or ".join(f"Name eq '{product.spec.safename}'" for product in products)


def test_products_are_found_by_name_and_unknown_names_are_left_out(site):
    one, other = site.add("S1_GRD"), site.add("S2_L1C")
    status, answer = ask(site, filter=f"{by_name(one, other)} or Name eq 'S1A_NOTHING.SAFE'")
    assert status == 200
    assert [entry["Name"] for entry in answer["value"]] == [one.spec.safename, other.spec.safename]
    entry = answer["value"][0]
    assert entry["S3Path"] == one.s3_path
    assert entry["Online"] is True
    assert entry["ContentLength"] == one.total_bytes
    assert len(entry["Id"]) == 36


def test_the_checksum_of_a_single_object_is_that_of_its_content(site):
    product = site.add("S5P")
    _status, answer = ask(site, filter=by_name(product))
    truth = product.truth()[product.spec.safename]
    assert answer["value"][0]["Checksum"][0]["Value"] == truth.md5


def test_offline_and_unknown_products_are_told_apart(site):
    offline, hidden = site.add("S5P", online=False), site.add("S5P", index=1, in_catalogue=False)
    _status, answer = ask(site, filter=by_name(offline, hidden))
    assert [(entry["Name"], entry["Online"]) for entry in answer["value"]] == [(offline.spec.safename, False)]


def test_pages_are_limited_counted_and_linked(site):
    products = [site.add("S5P", index=index) for index in range(25)]
    _status, answer = ask(site, filter=by_name(*products), count="true")
    assert (len(answer["value"]), answer["@odata.count"]) == (20, 25)
    link = urlsplit(answer["@odata.nextLink"])
    with closing(http.client.HTTPConnection("127.0.0.1", site.sandbox.port, timeout=10)) as connection:
        connection.request("GET", f"{link.path}?{link.query}")
        following = json.loads(connection.getresponse().read())
    assert len(following["value"]) == 5
    assert "@odata.nextLink" not in following
    assert len(ask(site, filter=by_name(*products), top="1000")[1]["value"]) == 25


def test_a_bad_question_is_400_and_a_page_too_large_422(site):
    assert ask(site, filter="contains(Name,'S1A')")[0] == 400
    status, answer = ask(site, filter="Name eq 'x'", top="1001")
    assert status == 422
    assert answer["detail"][0]["loc"] == ["query", "$top"]


@pytest.mark.parametrize(("kind", "status"), [("throttle", 429), ("internal_error", 500), ("slow_down", 503)])
def test_faults_reach_the_catalogue_too(site, kind, status):
    site.sandbox.faults.add(Fault(kind, operation="odata", times=1))
    answered, answer = ask(site, filter="Name eq 'x'")
    assert answered == status
    assert ("error" in answer) is (kind == "throttle")
    assert ask(site, filter="Name eq 'x'")[0] == 200
    assert site.sandbox.counters.values()["odata_requests"] == 2
