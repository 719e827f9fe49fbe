"""Hooks with the real daemon: each published product arrives at least once, and no hook touches publishing."""

import hashlib
import hmac
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_SECRET = "a secret of the receiver"


class Receiver:
    """A webhook that verifies signatures, and answers 500 to the first requests."""

    def __init__(self, url: str, refuses: int) -> None:
        self.url = url
        self.refuses = refuses
        self.requests = 0
        self.events: dict[str, dict[str, Any]] = {}

    def respond(self, headers: Any, body: bytes) -> int:
        self.requests += 1
        signed = headers["Cdsed-Timestamp"].encode() + b"." + body
        expected = "sha256=" + hmac.new(_SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(expected, headers["Cdsed-Signature"])
        document = json.loads(body)
        assert headers["Cdsed-Delivery"] == document["delivery"]
        if self.requests <= self.refuses:
            return 500
        self.events |= {event["id"]: event for event in document["events"]}
        return 204


@contextmanager
def receiving(refuses: int = 0) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(receiver.respond(self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{http.server_port}/in?key=hidden-in-the-address", refuses)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def hooks_of(tmp_path: Path, receiver: Receiver) -> list[dict[str, Any]]:
    secret_file = tmp_path / "secret"
    secret_file.touch(mode=0o600)
    secret_file.write_text(f"{_SECRET}\n", encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/"
    ours = {"secret_file": str(secret_file)}
    mail = {"to": ["lab@example.org"], "from_address": "cdsed@example.org"}
    sendmail = script(tmp_path / "sendmail", f"cat >> {tmp_path}/mails")
    keep = script(tmp_path / "keep", f"cat >> {tmp_path}/kept; echo >> {tmp_path}/kept; env > {tmp_path}/env")
    hang = script(tmp_path / "hang", "sleep 30 & sleep 30")
    hooks: list[dict[str, Any]] = [
        {"name": "keeps", "command": [keep]},
        {"name": "hangs", "command": [hang], "time_limit_s": 1.0},
        {"name": "receives", "webhook": {"url": receiver.url, **ours}},
        {"name": "refuses", "webhook": {"url": closed, **ours}},
        {"name": "mails", "mail": {**mail, "sendmail": sendmail}},
    ]
    return [{**hook, "batch_s": 0.2} for hook in hooks]


def published(events: Any) -> set[str]:
    return {event["safename"] for event in events if event["event"] == "product_published"}


def kept(tmp_path: Path) -> list[dict[str, Any]]:
    path = tmp_path / "kept"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [event for line in lines if line for event in json.loads(line)["events"]]


def test_every_product_arrives_although_hooks_fail_and_all_is_killed(tmp_path: Path, sandbox: SandboxProcess) -> None:
    names = realistic_safenames("S1_OCN", 4, seed=9)
    sandbox.add_products(*({"safename": name, "size_bytes": 60_000} for name in names))
    with receiving(refuses=1) as receiver:
        lab = Installation(tmp_path / "lab", sandbox, transfer={"processes": 1}, hooks=hooks_of(tmp_path, receiver))
        lab.drop("first.txt", names[:2])
        with DaemonProcess(lab) as daemon:
            wait_until(
                "the hook hangs", lambda: lab.query("SELECT 1 FROM hook_event WHERE hook = 'hangs'"), daemon=daemon
            )
            for pid in daemon.worker_pids("hooks"):
                os.kill(pid, signal.SIGKILL)
            lab.drop("second.txt", names[2:])
            wait_until("both are reported", lambda: lab.report("first.txt") and lab.report("second.txt"), daemon=daemon)
            daemon.kill()
            daemon.start()
            wait_until("the webhook", lambda: published(receiver.events.values()) == set(names), daemon=daemon)
            wait_until("the program", lambda: published(kept(tmp_path)) == set(names), daemon=daemon)
            wait_until("the mail", lambda: (tmp_path / "mails").exists(), daemon=daemon)
            failing = "SELECT name FROM hook WHERE name IN ('hangs', 'refuses') AND error IS NOT NULL"
            wait_until("both fail", lambda: len(lab.query(failing)) == 2, daemon=daemon)
            listed = json.loads(lab.command("hooks", "list", "--json").stdout)["hooks"]
            tested = lab.command("hooks", "test", "keeps")
    assert lab.differences(names) == []
    state = {hook["name"]: hook for hook in listed}
    assert [state[name]["waiting"] > 0 for name in ("keeps", "hangs", "receives", "refuses")] == [
        False,
        True,
        False,
        True,
    ]
    assert "did not end within 1 s and was killed" in state["hangs"]["error"]
    assert "refused" in state["refuses"]["error"]
    assert (tested.returncode, tested.stdout) == (0, "hook keeps accepted a test event from the daemon\n")
    finished = {each["listing"] for each in receiver.events.values() if each["event"] == "listing_finished"}
    assert finished == {"first.txt", "second.txt"}
    seen = daemon.log() + json.dumps(lab.query("SELECT * FROM hook")) + (tmp_path / "env").read_text("utf-8")
    assert not [word for word in (_SECRET, "hidden-in-the-address", sandbox.accounts[0].secret_key) if word in seen]
    assert (tmp_path / "mails").read_text("utf-8").count("To: lab@example.org") <= 2
