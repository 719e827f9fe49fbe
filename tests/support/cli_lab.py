"""A real state, made by the store itself, and the command `cdsed` as a real process."""

import os
import subprocess
import sys
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK
from cdsed.model.listing import Counts, LineVerdict, ListingHead, ProductRequest, Remark
from cdsed.model.product_state import State
from cdsed.store import leases, listings, processes, products
from cdsed.store.database import Database, open_state
from cdsed.store.leases import AccountLimits
from cdsed.store.move import Move

ROOT = Path(__file__).resolve().parents[2]
WAITS = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
MISSES = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_05417_069690_E33E.SAFE"
ON_DISK = "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE"


class CliLab:
    """Settings, accounts and a state below one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "cdsed.yml"
        self.state_dir = root / "state"
        self.inbox = root / "inbox"
        self.inbox.mkdir()
        self.config.write_text(
            f"state_dir: {self.state_dir}\ninbox: {{path: {self.inbox}}}\nspools: [{root / 'spool'}]\n"
            f"accounts_file: {root / 'accounts.yml'}\n",
            encoding="utf-8",
        )
        (root / "accounts.yml").touch(0o600)
        (root / "accounts.yml").write_text(
            "groups:\n  default: {accounts: {first: {login: a, s3_access_key: canary-a, s3_secret_key: canary-b}}}\n"
            "  lops: {accounts: {second: {login: b, s3_access_key: canary-c, s3_secret_key: canary-d}}}\n",
            encoding="utf-8",
        )

    def open(self) -> Database:
        """Open the state, made by the daemon's own code."""
        return open_state(self.state_dir)

    def cdsed(self, *arguments: str, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command of cdsed to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "cdsed", *arguments],
            input=stdin,
            capture_output=True,
            timeout=60,
            env={**os.environ, "CDSED_CONFIG": str(self.config), "PYTHONPATH": str(ROOT), **environ},
            check=False,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def use(lab: CliLab) -> None:
    """Leave a lab as a daemon does that has stopped in the middle of a listing."""
    clock = SYSTEM_CLOCK
    db = lab.open()
    processes.daemon_started(db, clock, version="0.1.0", once=False)
    leases.sync_accounts(db, [_limits("first", "default"), _limits("second", "lops")])
    file = lab.inbox / ".accepted" / "storm.txt"
    file.parent.mkdir()
    for suffix in ("", ".receipt.txt"):
        file.with_name(f"storm.txt{suffix}").write_text("x", encoding="utf-8")
    head = ListingHead(0, "storm.txt", "ab" * 32, "default", 5, None, clock.utc_s(), "anton")
    listing = listings.begin(db, clock, head, str(file)).head.id
    for line, (safename, place) in enumerate({WAITS: None, MISSES: None, ON_DISK: "/archive/x"}.items(), start=1):
        number = products.add(db, clock, ProductRequest(safename, "default", 5, None), path=place)
        listings.want(db, listing, number, line)
    remarks = [
        Remark(3, LineVerdict.ALREADY_PRESENT, ON_DISK, "/archive/x"),
        Remark(4, LineVerdict.REJECTED, None, "nonsense"),
    ]
    listings.count(db, listing, 4, Counts(accepted=2, already_present=1, rejected=1), remarks)
    listings.finish(db, listing, accepted=True, path=str(file))
    process = processes.register(db, clock, name="resolve", lock=lab.root / "lock")
    missing = Move(State.UNAVAILABLE, cause="not in the catalogue", code="NotInCatalogue")
    for product in products.claim_resolving(db, clock, process, (each.id for each in products.queued(db, 9))):
        if product.safename == MISSES:
            products.move(db, clock, product, missing)
    processes.release(db, clock, process)
    processes.daemon_stopped(db, clock)
    db.close()


def _limits(name: str, group: str) -> AccountLimits:
    return AccountLimits(name, group, 4, 2000, 12_000_000_000_000, None, has_keys=True)
