"""The machines of a cluster: network namespaces with an address and a name each, around a router that can cut any two.

What is cut is dropped, as where a cable is pulled: neither side hears of it.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable
from typing import Self

from tests.support.namespaces import Namespace


class Machines:
    """Namespaces with a link to a router, which is one more.

    Parameters
    ----------
    names
        Of the machines; their addresses follow from the order.

    Attributes
    ----------
    of
        The namespace of each machine.
    address
        The address of each machine.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.of: dict[str, Namespace] = {}
        self.address = {name: f"10.79.{number}.1" for number, name in enumerate(names, start=1)}
        self._cut: Counter[tuple[str, str]] = Counter()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._router = Namespace(host="router")
            stack.callback(self._router.close)
            self._router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
            for number, name in enumerate(self.address):
                self.of[name] = Namespace(host=name)
                stack.callback(self.of[name].close)
                self._plug_in(name, f"port{number}")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def cut(self, one: str, other: str) -> None:
        """Drop all that these two send to each other; it may be cut more than once, and is then healed as often."""
        self._cut[_pair(one, other)] += 1
        if self._cut[_pair(one, other)] == 1:
            self._drop("add", one, other)

    def heal(self, one: str, other: str) -> None:
        """Undo one cut."""
        self._cut[_pair(one, other)] -= 1
        if not self._cut[_pair(one, other)]:
            self._drop("del", one, other)

    def _drop(self, what: str, one: str, other: str) -> None:
        for source, target in ((one, other), (other, one)):
            way = ("from", self.address[source], "to", self.address[target])
            self._router.run("ip", "rule", what, *way, "blackhole")

    def _plug_in(self, name: str, port: str) -> None:
        machine, address = self.of[name], self.address[name]
        router = f"{address.rpartition('.')[0]}.254"
        peer = ("peer", "name", "eth0", "netns", str(machine.keeper_pid))
        self._router.run("ip", "link", "add", port, "type", "veth", *peer)
        self._router.run("ip", "address", "add", f"{router}/24", "dev", port)
        self._router.run("ip", "link", "set", port, "up")
        machine.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        machine.run("ip", "link", "set", "eth0", "up")
        machine.run("ip", "route", "add", "default", "via", router)


def _pair(one: str, other: str) -> tuple[str, str]:
    return min(one, other), max(one, other)
