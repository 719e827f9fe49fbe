"""Take one listing into a new state, as the intake worker does. Arguments: a directory with ``inbox`` and ``spool``.

It prints the seconds, the products, and the peak of the memory in bytes as JSON.
"""

import json
import sys
import time
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.settings import Settings
from cdsed.local.presence import presence_of
from cdsed.store.database import open_state
from cdsed.work.intake import Intake

root = Path(sys.argv[1])
inbox = root / "inbox"
settings = Settings.model_validate(
    {
        "state_dir": str(root / "state"),
        "spools": [str(root / "spool")],
        "inbox": {"path": str(inbox), "stable_for_s": 0.01},
    }
)
db = open_state(root / "state")
intake = Intake(db, SYSTEM_CLOCK, settings, {"default"}, presence_of(settings, SYSTEM_CLOCK), lambda: None)
intake.go_on()
begun_s = time.monotonic()
while any(inbox.glob("*.txt")):
    intake.look()
taken_s = time.monotonic() - begun_s
lines = Path("/proc/self/status").read_text(encoding="utf-8").split("\n")
peak_bytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024
print(json.dumps([taken_s, db.value("SELECT count(*) FROM product"), peak_bytes]))
db.close()
