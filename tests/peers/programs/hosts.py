"""What a program of a client needs: the sandbox that it is for, and the addresses of CDSE that are in its code."""

import json
import os
from typing import Any

import requests

CASE: dict[str, Any] = json.loads(os.environ.get("CASE", "{}"))


def point_to(sandbox_url: str) -> None:
    """Send the requests of this process that are for hosts of CDSE to a sandbox instead; nothing else is changed."""
    places = {
        "https://catalogue.dataspace.copernicus.eu": sandbox_url,
        "https://identity.dataspace.copernicus.eu": sandbox_url,
        "https://download.dataspace.copernicus.eu": f"{sandbox_url}/download",
        "https://zipper.dataspace.copernicus.eu": f"{sandbox_url}/download",
    }
    original = requests.Session.request

    def request(session: requests.Session, method: str, url: str, *arguments: Any, **named: Any) -> Any:
        for host, place in places.items():
            url = url.replace(host, place, 1) if url.startswith(host) else url
        return original(session, method, url, *arguments, **named)

    requests.Session.request = request  # type: ignore[method-assign]
