"""eodag: search for a product by collection, day and area, then download it, with the given provider."""

import os
import sys
import tempfile

from hosts import CASE

provider = sys.argv[1]
settings = {
    "SEARCH__API_ENDPOINT": f"{CASE['url']}/odata/v1/Products",
    "DOWNLOAD__OUTPUT_DIR": CASE["out"],
}
if provider == "cop_dataspace":
    settings |= {
        "AUTH__CREDENTIALS__USERNAME": CASE["login"],
        "AUTH__CREDENTIALS__PASSWORD": CASE["password"],
        "AUTH__OIDC_CONFIG_URL": f"{CASE['url']}/auth/realms/CDSE/.well-known/openid-configuration",
        "AUTH__MATCHING_URL": CASE["url"],
        "SEARCH__METADATA_MAPPING__EODAG:DOWNLOAD_LINK": f"{CASE['url']}/odata/v1/Products({{uid}})/$value",
        "DOWNLOAD__EXTRACT": "false",
    }
else:
    settings |= {
        "SEARCH__S3_ENDPOINT": CASE["url"],
        "DOWNLOAD__S3_ENDPOINT": CASE["url"],
        "AUTH__S3_ENDPOINT": CASE["url"],
        "AUTH__CREDENTIALS__AWS_ACCESS_KEY_ID": CASE["access_key"],
        "AUTH__CREDENTIALS__AWS_SECRET_ACCESS_KEY": CASE["secret_key"],
    }
os.environ |= {f"EODAG__{provider.upper()}__{name}": value for name, value in settings.items()}
os.environ |= {"HOME": tempfile.mkdtemp(), "EODAG_EXT_COLLECTIONS_CFG_FILE": "", "EODAG_EXT_PRODUCT_TYPES_CFG_FILE": ""}

from eodag import EODataAccessGateway  # noqa: E402 - it reads the variables when it begins

dag = EODataAccessGateway()
west, south, east, north = CASE["bounds"]
found = dag.search(
    provider=provider,
    collection=CASE["eodag"],
    start=CASE["start"],
    end=CASE["end"],
    geom={"lonmin": west, "latmin": south, "lonmax": east, "latmax": north},
    count=True,
    raise_errors=True,
)
bare = CASE["safename"].removesuffix(".SAFE")
(product,) = [each for each in found if each.properties["id"] == bare]
print(dag.download(product, wait=0.1, timeout=1))
