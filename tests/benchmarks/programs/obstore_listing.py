"""obstore: list and stream every object to a file, 8 at a time, as its users write it. Arguments: as cdsodatacli's."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from obstore.store import S3Store

case = json.loads(sys.argv[1])
_name, access_key, secret_key = case["accounts"][0]
store = S3Store(
    "eodata",
    endpoint=case["url"],
    region="default",
    access_key_id=access_key,
    secret_access_key=secret_key,
    client_options={"allow_http": True},
)


def fetch(key: str, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb", buffering=0) as file:
        file.writelines(store.get(key).stream(min_chunk_size=2**20))


with ThreadPoolExecutor(8) as pool:
    under_way = []
    for path in case["paths"]:
        parent = len(path) - len(path.rpartition("/")[2])
        for page in store.list(path):
            under_way += [pool.submit(fetch, item["path"], Path(case["out"], item["path"][parent:])) for item in page]
    for fetched in under_way:
        fetched.result()
