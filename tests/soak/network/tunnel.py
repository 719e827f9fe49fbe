"""The link between two network namespaces: a program between two TUN devices, which loses, delays and drops packets.

netem does the same in the kernel, but few kernels of virtual machines have it. It is run as
``python -m tests.soak.network.tunnel NEAR FAR`` with the numbers of two open devices, and reads one JSON object with
fields of `Trouble` in each line of standard input.
"""

import heapq
import json
import os
import random
import select
import sys
import time
from dataclasses import dataclass, replace

_PACKET_MAX_BYTES = 65_536
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens to packets.

    Attributes
    ----------
    delay_s
        Of each packet, in each direction.
    lost
        The share of packets that are lost, in each direction.
    packet_max_bytes
        Larger packets disappear, and no ICMP says so; 0: none.
    ipv6_lost, all_lost
        All packets of this kind disappear.
    """

    delay_s: float = 0.0
    lost: float = 0.0
    packet_max_bytes: int = 0
    ipv6_lost: bool = False
    all_lost: bool = False

    def loses(self, packet: bytes, dice: random.Random) -> bool:
        """Tell whether this packet disappears."""
        return (
            self.all_lost
            or (self.ipv6_lost and packet[0] >> 4 == 6)
            or bool(self.packet_max_bytes and len(packet) > self.packet_max_bytes)
            or (self.lost > 0 and dice.random() < self.lost)
        )


def _carry(near: int, far: int) -> None:
    """Carry packets until standard input ends."""
    trouble, dice = Trouble(), random.Random(14)
    under_way: list[tuple[float, int, int, bytes]] = []
    number = 0
    for device in (near, far):
        os.set_blocking(device, False)
    while True:
        wait_s = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        readable, _, _ = select.select([near, far, sys.stdin], [], [], wait_s)
        if sys.stdin in readable:
            line = sys.stdin.readline()
            if not line:
                return
            trouble = replace(Trouble(), **json.loads(line))
            print("done", flush=True)
        for device in {near, far} & set(readable):
            for packet in _read(device):
                if trouble.loses(packet, dice):
                    continue
                number += 1
                due_s = time.monotonic() + trouble.delay_s
                heapq.heappush(under_way, (due_s, number, far if device == near else near, packet))
        now_s = time.monotonic()
        while under_way and under_way[0][0] <= now_s:
            _, _, device, packet = heapq.heappop(under_way)
            try:
                os.write(device, packet)
            except OSError:  # the interface is down, or its queue is full
                continue


def _read(device: int) -> list[bytes]:
    packets = []
    try:
        while len(packets) < _BATCH:
            packets.append(os.read(device, _PACKET_MAX_BYTES))
    except OSError:  # no more, or the interface is down
        pass
    return packets


if __name__ == "__main__":
    _carry(int(sys.argv[1]), int(sys.argv[2]))
