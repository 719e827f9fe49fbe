"""What a program of a client needs: the sandbox that it is for, and the addresses of CDSE that are in its code."""

import json
import os
from typing import Any

import requests

CASE: dict[str, Any] = json.loads(os.environ.get("CASE", "{}"))


def point_to(url: str) -> None:
    """Send the requests of this process that are for hosts of CDSE to a sandbox instead; nothing else is changed."""
    places = {
        "https://catalogue.dataspace.copernicus.eu": url,
        "https://identity.dataspace.copernicus.eu": url,
        "https://download.dataspace.copernicus.eu": f"{url}/download",
        "https://zipper.dataspace.copernicus.eu": f"{url}/download",
    }
    original = requests.Session.request

    def request(session: requests.Session, method: str, address: str, *arguments: Any, **named: Any) -> Any:
        for host, place in places.items():
            address = address.replace(host, place, 1) if address.startswith(host) else address
        return original(session, method, address, *arguments, **named)

    requests.Session.request = request  # type: ignore[method-assign, assignment]
