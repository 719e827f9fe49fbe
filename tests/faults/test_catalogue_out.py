"""While the catalogue is down, requests are rare, products that need it wait, and all others continue."""

import os
import socket
import threading
from contextlib import closing
from pathlib import Path

from cdsed import roles
from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.accounts import Accounts
from cdsed.config.load import load_settings
from cdsed.model.listing import ProductRequest
from cdsed.process.worker_control import WorkerControl
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import breakers, products
from cdsed.store.database import open_state
from cdsed.work.worker import registered
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

LST = "S3A_SL_0_SLT____20240604T110100_20240604T110400_20240604T130000_0179_113_094_{:04d}_PS1_O_NR_004.SEN3"


def test_a_daemon_asks_once_brings_what_it_can_says_why_the_rest_waits_and_brings_it_later(tmp_path: Path) -> None:
    guessable, others = realistic_safenames("S1_OCN", 2, seed=41), [LST.format(number) for number in range(8)]
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 20_000} for name in [*others, *guessable]))
        sandbox.fault(kind="slow_down", operation="odata", retry_after_s=3000)
        lab.drop("some.txt", [*others, guessable[0]])
        with DaemonProcess(lab) as daemon:
            wait_until("the first", lambda: (lab.spool / guessable[0]).exists(), daemon=daemon)
            lab.drop("more.txt", guessable[1:])
            wait_until("a later one", lambda: lab.report("more.txt"), daemon=daemon)
            wait_until("all is quiet", lambda: lab.status()["why_idle"], daemon=daemon)
            said = lab.status()["why_idle"]
            assert said.startswith("service:catalogue backs off, next try in 2")
            assert "answered 503" in said
            assert lab.query("SELECT DISTINCT state FROM product WHERE safename LIKE 'S3A%'") == [{"state": "queued"}]
            [moves] = lab.query(
                "SELECT count(*) AS n FROM event JOIN product ON product.id = product WHERE s3_path IS NULL"
            )
            assert moves["n"] == len(others)
            assert sandbox.counters()["odata_requests"] == 1
            assert daemon.log().count("catalogue") == 1
            sandbox.clear_faults()
            lab.command("retry", "--retry-wait")
            wait_until("the report", lambda: lab.report("some.txt"), 90, daemon=daemon)
            assert "the catalogue responds again" in daemon.log()
        assert set(lab.endings("some.txt")) == {("done", 0)}


def test_the_resolver_sends_heartbeats_while_it_waits_for_the_catalogue(tmp_path: Path) -> None:
    supervisor, parent_pipe = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control = WorkerControl("resolve", parent_pipe, 10)
    with SandboxProcess() as sandbox, closing(supervisor), closing(parent_pipe):
        sandbox.fault(kind="slow_down", operation="odata", retry_after_s=0)
        lab = Installation(tmp_path, sandbox, process={"rss_max_bytes": "64GB"})  # what all tests before it have needed
        settings = load_settings(lab.config, os.environ)
        open_state(settings.state_dir).close()
        with registered("resolve", settings, Accounts({}), control) as worker:
            products.add(worker.db, worker.clock, ProductRequest(LST.format(1), "default", 0, None))
            thread = threading.Thread(target=roles._resolve, args=(worker,))
            thread.start()
            wait_until("it gives up", lambda: breakers.is_open(worker.db, SYSTEM_CLOCK, breakers.CATALOGUE))
            control.stop.set()
            thread.join()
        supervisor.setblocking(False)
        beats = 0
        try:
            while supervisor.recv(100):
                beats += 1
        except BlockingIOError:
            assert beats >= 8  # one heartbeat a round would be three
