"""Real pages of the catalogue, loaded into the sandbox, come back as they were."""

import http.client
import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest

SHARED_DATA = Path(os.environ.get("CDSED_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.fixture
def pages() -> list[dict[str, Any]]:
    files = sorted((SHARED_DATA / "odata").glob("odata_page_*.json"))
    if not files:
        pytest.skip("no real pages of the catalogue here: set CDSED_SHARED_DATA")
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def send(site, method: str, path: str, body: Any = None) -> dict[str, Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", site.sandbox.port, timeout=20)) as connection:
        connection.request(method, path, body=None if body is None else json.dumps(body))
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        assert response.status in {200, 201}, answer
    return answer


def test_real_pages_come_back_row_by_row_with_their_own_links(site, pages):
    loaded = send(site, "POST", "/_control/catalogue/load", pages[::-1])
    assert loaded == {"rows": 47}
    window = "ContentDate/Start gt 2014-04-05T00:00:00.000Z and ContentDate/Start lt 2014-04-14T00:00:00.000000Z"
    options = {
        "$filter": f"Collection/Name eq 'SENTINEL-1' and {window}",
        "$top": "10",
        "$count": "true",
        "$expand": "Attributes",
        "$orderby": "ContentDate/Start asc",
    }
    path = f"/odata/v1/Products?{urlencode(options, quote_via=quote)}"
    for number, page in enumerate(pages):
        answer = send(site, "GET", path)
        assert answer["value"] == page["value"]
        assert answer["@odata.context"] == page["@odata.context"]
        assert answer["@odata.count"] == 47
        assert ("@odata.nextLink" in answer) is ("@odata.nextLink" in page)
        if "@odata.nextLink" in answer:
            link = urlsplit(answer["@odata.nextLink"])
            if number == 0:
                assert link.query == urlsplit(page["@odata.nextLink"]).query
            path = f"{link.path}?{link.query}"


def test_real_attributes_can_be_filtered(site, pages):
    send(site, "POST", "/_control/catalogue/load", pages)
    given = [row for page in pages for row in page["value"]]
    form = "Attributes/OData.CSC.{0}Attribute/any(att:att/Name eq '{1}' and att/OData.CSC.{0}Attribute/Value {2})"
    kind = form.format("String", "productType", "eq 'AUX_INS'")
    made = form.format("DateTimeOffset", "processingDate", "lt 2016-01-01T00:00:00Z")
    options = {"$filter": f"{kind} and {made}", "$top": "1000", "$orderby": "ContentDate/Start"}
    found = send(site, "GET", f"/odata/v1/Products?{urlencode(options, quote_via=quote)}")["value"]
    expected = set()
    for row in given:
        values = {attribute["Name"]: attribute["Value"] for attribute in row["Attributes"]}
        if values.get("productType") == "AUX_INS" and values.get("processingDate", "9") < "2016":
            expected.add(row["Id"])
    assert {row["Id"] for row in found} == expected
    assert 0 < len(expected) < 47
