"""CDSETool: search, then download the product as a zip, and one file of it by its nodes."""

import hosts
from cdsetool.credentials import Credentials
from cdsetool.download import download_feature
from cdsetool.query import query_features
from hosts import CASE

hosts.point_to(CASE["url"])
terms = {"contentDateStartGe": CASE["start"], "contentDateStartLe": CASE["end"], "productType": CASE["type"]}
found = query_features(CASE["collection"], terms, options={"expand_attributes": True})
(feature,) = [each for each in found if each["Name"] == CASE["safename"]]
realm = f"{CASE['url']}/auth/realms/CDSE"
credentials = Credentials(CASE["login"], CASE["password"], f"{realm}/.well-known/openid-configuration")
options = {"credentials": credentials, "download_attempts": 1}
assert download_feature(feature, CASE["out"], options)
some = f"{CASE['out']}-some"
assert download_feature(feature, some, {**options, "filter_pattern": "*.xsd"}) == CASE["safename"]
