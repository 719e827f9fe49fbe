"""pystac-client: landing page, collections, and searches by GET and POST over several pages."""

import pystac
from hosts import CASE
from pystac_client import Client

client = Client.open(f"{CASE['url']}/stac/v1/")
assert CASE["stac"] in {each.id for each in client.get_collections()}
bare = CASE["safename"].removesuffix(".SAFE")
wanted = {"collections": [CASE["stac"]], "datetime": f"{CASE['start']}/{CASE['end']}", "limit": 2}
everything = {each.id for each in client.search(**wanted).items()}
assert len(everything) > 2
for method in ("GET", "POST"):
    assert {each.id for each in client.search(method=method, **wanted).items()} == everything
    (item,) = client.search(method=method, ids=[bare], bbox=CASE["bounds"], collections=[CASE["stac"]]).items()
    assert item.id == bare
    assert [link.href for link in item.get_links("enclosure")] == [f"s3:/{CASE['s3_path']}/"]
    query = {"product:type": {"eq": item.properties["product:type"]}}
    assert bare in {each.id for each in client.search(method=method, query=query, **wanted).items()}
newest = [each.datetime for each in client.search(sortby="-properties.datetime", **wanted).items()]
assert newest == sorted(newest, reverse=True)
collection = client.get_collection(CASE["stac"])
assert collection.get_item(bare).id == bare
assert bare in {each.id for each in collection.get_items()}
collected = client.search(**wanted).item_collection()
assert isinstance(collected, pystac.ItemCollection)
pystac.Item.from_dict(item.to_dict())
