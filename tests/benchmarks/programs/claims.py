"""A worker that only claims products: a session, then work for it. Arguments: state directory, number, claims.

It prints the milliseconds of each claim as JSON.
"""

import json
import sys
import time
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK
from cdsed.store import leases, pieces, processes
from cdsed.store.database import open_state

state, number, claims = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
db, clock = open_state(state), SYSTEM_CLOCK
lock = state / f"claims-{number}.lock"
lock.touch()
process = processes.register(db, clock, name=f"claims-{number}", lock=lock)
lease = None
while lease is None:
    session = leases.free_sessions(db, clock, ["default"])[0]
    lease = leases.take(db, clock, session, process)
print("ready", flush=True)
sys.stdin.readline()  # until all workers are ready
taken_ms = []
for _ in range(claims):
    begun_s = time.perf_counter()
    work = pieces.next_work(db, clock, lease, process)
    taken_ms.append((time.perf_counter() - begun_s) * 1000)
    assert work is not None, "there is work for all"
print(json.dumps(taken_ms))
