"""An installation in a guest: the sandbox and its front are here, and what its data disk has is judged here."""

import contextlib
import json
import shlex
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from cdsed.sandbox.accounts import SandboxAccount, make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.soak.guest.guest import Guest
from tests.soak.guest.image import HOST, PORT, files_of, make_data_image, root_image
from tests.support.daemon import Installation
from tests.support.disk_control import DiskControl
from tests.support.disk_state import state_in
from tests.support.front import Front, server_context
from tests.support.judge import NEVER, Judge, Verdicts
from tests.support.machine import trees
from tests.support.namespaces import Namespace
from tests.support.sandbox import SandboxProcess
from tests.support.tls_site import make_certificates
from tests.support.volatile_image import Survival

# As the service's user, because what root makes in its directory would be closed to it.
_SERVICE = ("setpriv", "--reuid=cdsed", "--regid=cdsed", "--init-groups")
_SEEN = """
import json, os, sqlite3
papers = [each for each in os.listdir("/var/lib/cdsed/inbox/.accepted") if each.endswith(".json")]
db = sqlite3.connect("file:/var/lib/cdsed/cdsed.sqlite?mode=ro", uri=True, timeout=60)
done = [row[0] for row in db.execute("SELECT safename FROM product WHERE state = 'done'")]
print(json.dumps([papers, done]))
"""
_QUERY = """
import json, sqlite3, sys
db = sqlite3.connect("file:/var/lib/cdsed/cdsed.sqlite?mode=ro", uri=True, timeout=60)
print(json.dumps(db.execute(sys.argv[1]).fetchall()))
"""
_PROCESSES = 2
_SETTINGS: dict[str, Any] = {
    "transfer": {"piece_bytes": 2 * 2**20, "processes": _PROCESSES},
    "disk": {"free_bytes_min": 0},
    "retry": {"attempts": 30},
}


class LookedAt(Installation):
    """The files of the data disk as an installation of this machine, for the judge and the checker."""

    def __init__(self, root: Path, sandbox: SandboxProcess) -> None:
        super().__init__(root, sandbox, **_SETTINGS)
        self.disk = root / "disk"
        self.state, self.inbox, self.spool = self.disk / "state", self.disk / "state/inbox", self.disk / "spool"
        self.configure(state_dir=str(self.state), spools=[str(self.spool)], inbox={"path": str(self.inbox)})


class VolatileDisk:
    """A data disk whose cache loses what was not flushed."""

    def __init__(self, folder: Path) -> None:
        self.image, self.address = folder / "data.img", folder / "data.socket"
        make_data_image(self.image, folder / "empty")
        self.control = DiskControl()
        self.control.ask(do="serve", image=str(self.image), socket=str(self.address), honest=True)


@contextlib.contextmanager
def running(folder: Path, *accounts: SandboxAccount) -> Iterator["GuestLab"]:
    """Give a machine that has booted, and runs the service; skip where its tree cannot be made."""
    with contextlib.ExitStack() as stack:
        try:
            lab = stack.enter_context(GuestLab(folder, accounts))
        except trees.NoTree as error:
            pytest.skip(str(error))
        print(f"\nbooted in {lab.start():.0f} s", flush=True)
        yield lab


def products(count: int, seed: int, size_bytes: int) -> list[dict[str, Any]]:
    """Return products for the sandbox."""
    return [{"safename": name, "size_bytes": size_bytes} for name in realistic_safenames("S1_GRD", count, seed=seed)]


class GuestLab:
    """A guest with cdsed under its systemd, and the sandbox that it reaches through a front with TLS.

    Attributes
    ----------
    guest
        The machine; `start` has booted it.
    verdicts
        What the judge has found: it must stay empty.
    """

    def __init__(self, folder: Path, accounts: Iterable[SandboxAccount] = ()) -> None:
        self._folder = folder
        self._accounts = list(accounts) or make_accounts(2, 1, bandwidth_bytes_per_s=400_000)
        self.verdicts = Verdicts()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            # Short, because addresses of sockets have at most 107 bytes.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guest-")))
            self.sandbox = stack.enter_context(SandboxProcess(self._accounts))
            self.place = Namespace()
            stack.callback(self.place.close)
            for words in ("tuntap add tap0 mode tap", f"address add {HOST}/24 dev tap0", "link set tap0 up"):
                self.place.run("ip", *words.split())
            made = make_certificates(folder / "tls", f"IP:{HOST}")
            self._authority = made.authority.read_text("utf-8")
            listening = self.place.listening(HOST, PORT)
            self.front = Front(listening, port=self.sandbox.port, tls=server_context(made.chain, made.key))
            stack.callback(self.front.close)
            self.disk = VolatileDisk(folder)
            stack.callback(self.disk.control.close)
            stack.enter_context(trees.alone())
            self.guest = stack.enter_context(Guest(folder, root_image(), f"nbd:unix:{self.disk.address}", self.place))
            self.here = LookedAt(self._folder / "lab", self.sandbox)
            self.judge = Judge(self.here, self.verdicts)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._folder.joinpath("console.log").write_bytes(self.guest.console.read_bytes())
        self._stack.close()

    def start(self) -> float:
        """Boot it for the first time, and let the service run; return how long the machine took to boot."""
        booted_s = self.guest.boot()
        self.guest.script("systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload")
        self.guest.write("/etc/cdsed/ca.pem", self._authority)
        self.configure()
        self.guest.write("/etc/cdsed/accounts.yml", self.here.accounts_file.read_text("utf-8"), "600")
        self.guest.run("systemctl", "enable", "--now", "cdsed")
        self.guest.run("sync")
        return booted_s

    def configure(self, **settings: Any) -> None:
        """Write the settings of the service, which has to be restarted for most of them."""
        there = f"https://{HOST}:{PORT}"
        services = {key: url.replace(self.sandbox.url, there) for key, url in self.sandbox.services.items()}
        wanted = {"services": {**services, "ca_file": "/etc/cdsed/ca.pem"}, **_SETTINGS, **settings}
        self.guest.write("/etc/cdsed/cdsed.yml", yaml.safe_dump(wanted))

    def drop(self, listing: str, *products: dict[str, Any]) -> list[str]:
        """Give the sandbox products, and the inbox a listing of them that no power cut takes away."""
        self.sandbox.add_products(*products)
        names = [str(product["safename"]) for product in products]
        content = "".join(f"{each}\n" for each in names)
        self.judge.expect(listing, content.encode(), names)
        inbox, name = "/var/lib/cdsed/inbox", shlex.quote(listing)
        written = f"cat > {inbox}/../.new; sync {inbox}/../.new; mv {inbox}/../.new {inbox}/{name}; sync {inbox}"
        self.guest.run("sh", "-euc", written, text=content)
        return names

    def status(self) -> dict[str, Any]:
        """Return what ``cdsed status --json`` says."""
        said = self.guest.attempt("cdsed", "status", "--json")[1]
        status: dict[str, Any] = json.loads(said[said.index("{") :])
        return status

    def query(self, sql: str) -> list[Any]:
        """Read the state; return the rows."""
        rows: list[Any] = json.loads(self.guest.run(*_SERVICE, "python3", "-c", _QUERY, sql))
        return rows

    def says(self, *words: str, timeout_s: float = 300) -> str:
        """Wait until an alarm of the status has all these words; return its text."""

        def said() -> str:
            texts = [alarm["text"] for alarm in self.status()["alarms"]]
            return next((text for text in texts if all(word in text for word in words)), "")

        text: str = self.guest.wait(f"status says {words}", said, timeout_s)
        return text

    def is_reported(self, listing: str) -> bool:
        """Tell whether a listing is finished."""
        return self.guest.attempt("test", "-e", f"/var/lib/cdsed/inbox/.accepted/{listing}.report.json")[0] == 0

    def wait_for_reports(self, timeout_s: float = 600) -> None:
        """Wait until all listings are finished."""
        for listing in self.judge.dropped:
            self.guest.wait(f"{listing} is reported", lambda each=listing: self.is_reported(each), timeout_s)

    def look(self) -> None:
        """Let the judge remember what users can see now."""
        code, said = self.guest.attempt(*_SERVICE, "python3", "-c", _SEEN)
        if code == 0:  # else the state is just being made
            self.judge.saw(*json.loads(said))

    def cut(self, survival: Survival, seed: int) -> str:
        """Cut the power of the machine and of its disk, and judge what the disk has; return what happened, in words."""
        self.disk.control.ask(do="off")
        self.guest.cut()
        # The sandbox would count these connections until a time-out, and take the next ones for too many.
        self.front.hang_up()
        [lost] = self.disk.control.ask(do="settle", survival=survival, seed=seed)
        with self.looked_at() as here:
            state = state_in(here, self._folder / "copy")
            sessions = sum(account.sessions for account in self.sandbox.accounts)
            begun_max = 2 * sessions + _PROCESSES  # as for `tests.soak.power.computer.Computer.begun_max`
            self.judge.after_cut(state.products, state.listings, state.broken, begun_max)
        states = ", ".join(f"{count} {name}" for name, count in sorted(Counter(state.products.values()).items()))
        return f"{survival}: {lost['kept']} of {lost['cached']} cached blocks kept; {states}"

    def sent(self) -> int:
        """Return how many bytes the sandbox has sent."""
        return self.sandbox.bytes_sent()

    def wait_for_bytes(self, more: int = 1_000_000, timeout_s: float = 300) -> None:
        """Wait until so many more bytes have arrived."""
        wanted = self.sent() + more
        self.guest.wait(f"{more} more bytes", lambda: self.sent() >= wanted, timeout_s)

    def move_spool(self, *, back: bool = False) -> None:
        """Copy what is published into the file system that is to be mounted at /mnt, or back from there."""
        source, target = ("/mnt", "/data/spool") if back else ("/data/spool", "/mnt")
        self.guest.script(f"find {target} -mindepth 1 -delete; cp -a {source}/. {target}/; chown cdsed: {target}; sync")

    @contextlib.contextmanager
    def looked_at(self) -> Iterator[LookedAt]:
        """Give the files of the data disk. The machine must be off, or its service stopped and its disk synced."""
        files_of(self.disk.image, self.here.disk)
        yield self.here

    def judge_at_the_end(self) -> None:
        """Stop the service, and compare what the disk has with the truth, byte by byte."""
        self.guest.run("systemctl", "stop", "cdsed")
        self.guest.run("sync")
        with self.looked_at():
            self.judge.at_the_end()
        print("never:", *(f"{self.verdicts.counts[kind]} {kind};" for kind in NEVER), flush=True)
        assert self.verdicts.found == []
