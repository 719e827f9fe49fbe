"""A headless Chromium, driven by its own chromedriver over the W3C WebDriver protocol."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.support.ports import free_port

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def missing() -> str | None:
    """Return why no browser can be started; None if one can."""
    if shutil.which("chromedriver") and any(shutil.which(name) for name in _CHROMIUM):
        return None
    return "chromium and chromedriver (Debian: chromium, chromium-driver) are not installed"


class Browser:
    """One browser with one window; the time zone is UTC. `close` ends it."""

    def __init__(self) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        port = free_port()
        self._driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "HOME": self._profile.name, "TZ": "UTC", "TMPDIR": self._profile.name},
        )
        self._http = requests.Session()
        self._url = f"http://127.0.0.1:{port}"
        self._wait_for_driver()
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en-GB"]
        arguments += [
            "--hide-scrollbars",
            f"--user-data-dir={self._profile.name}/profile",
            "--disable-background-networking",
            "--no-proxy-server",
        ]
        options = {"args": arguments, "binary": next(path for name in _CHROMIUM if (path := shutil.which(name)))}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._url += f"/session/{session['sessionId']}"

    def close(self) -> None:
        """End the browser and its driver."""
        try:
            self._call("DELETE", "", None)
        finally:
            self._http.close()
            self._driver.terminate()
            self._driver.wait(10)
            self._profile.cleanup()

    def open(self, url: str) -> None:
        """Load a page, and forget what was logged before."""
        self.console()
        self.requests()
        self._call("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of a function in the page; return its value. A promise is waited for."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector: str) -> str:
        """Return the visible text of the first element that a selector finds."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def keys(self, *keys: str) -> None:
        """Press keys, one after the other, where the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def click(self, selector: str) -> None:
        """Click an element as a mouse does."""
        element = self._call("POST", "/element", {"using": "css selector", "value": selector})[_ELEMENT]
        self._call("POST", f"/element/{element}/click", {})

    def develop(self, command: str, **parameters: Any) -> Any:
        """Send a command of the Chrome DevTools protocol."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def show_as(self, width: int, height: int, *, dark: bool = False, scale: float = 1, mobile: bool = False) -> None:
        """Set the size of the window, and the colour scheme."""
        self.develop(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.develop("Emulation.setEmulatedMedia", features=[scheme, motion])

    def console(self) -> list[str]:
        """Return what the console has shown since the last call, warnings and errors."""
        return [each["message"] for each in self._log("browser") if each["level"] in ("WARNING", "SEVERE")]

    def requests(self) -> list[str]:
        """Return the addresses that were requested since the last call."""
        events = [json.loads(each["message"])["message"] for each in self._log("performance")]
        sent = [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith("data:")]

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Write the page as PNG: all of it, or what the window shows."""
        shot = self.develop("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def wait(self, what: str, script: str, seconds: float = 8) -> Any:
        """Wait until a script returns something true, and return it."""
        end_s = time.monotonic() + seconds
        while not (found := self.run(script)):
            assert time.monotonic() < end_s, f"{what}: not within {seconds} s; console: {self.console()}"
            time.sleep(0.05)
        return found

    def _log(self, kind: str) -> list[dict[str, Any]]:
        return list(self._call("POST", "/se/log", {"type": kind}))

    def _wait_for_driver(self) -> None:
        self._until(lambda: self._call("GET", "/status", None)["ready"])

    def _until(self, condition: Callable[[], Any]) -> None:
        end_s = time.monotonic() + 20
        while True:
            try:
                if condition():
                    return
            except requests.ConnectionError:
                assert time.monotonic() < end_s, "chromedriver does not answer"
            time.sleep(0.05)

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        response = self._http.request(method, self._url + path, json=body, timeout=60, proxies={"http": ""})
        value = response.json()["value"]
        assert response.ok, f"{path}: {value}"
        return value
