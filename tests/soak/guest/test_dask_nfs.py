"""Products over Dask, where daemon and workers have mounts of their own of one export of NFS.

All of it is in one guest: the server of NFS, the daemon, and the workers. Each mount is another client, with caches of
a minute and a link of its own to the server, which can be cut. Another seed: ``CDSED_KILL_SEED``; it is printed.
"""

import contextlib
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cdsed.sandbox.accounts import make_accounts
from tests.soak.guest.guest import Guest
from tests.soak.guest.image import why_not
from tests.soak.guest.lab import GuestLab, products, running
from tests.support.mount_troubles import MountTroubles

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(why_not()), reason=f"no machine under qemu here: {why_not()}"),
    pytest.mark.timeout(0),
]

_ENGINE = {
    "kind": "dask",
    "scheduler": "tls://127.0.0.1:8786",
    "tls_dir": "/etc/cdsed/engine",
    "grant_s": 30,  # an emulated machine is slow
    "renew_every_s": 5,
    "lost_rest_s": 1,
    "holders_per_worker": 2,
}
_QUICK = {"piece_bytes": 2 * 2**20, "session_cooldown_s": 0.3, "checkpoint_every_s": 0.5}
_SPOOL = "/data/spool"
_EXPORT = f"{_SPOOL} *(rw,sync,no_root_squash,no_subtree_check,fsid=77)\n"
# Clients may take back what they had open for ten seconds after a restart, and not for ninety.
_QUICK_SERVER = "[nfsd]\ngrace-time=10\nlease-time=10\n"
# Else the links get the address of the machine.
_UNMANAGED = "[Match]\nName=out*\n[Link]\nUnmanaged=yes\n"
# Dask looks at itself 50 times per second, and its profiler 100 times: an emulator has no time for that.
_CALM = """
DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL=2s
DASK_DISTRIBUTED__ADMIN__TICK__LIMIT=60s
DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False
"""
_CALM_SCHEDULER = "[Service]\nEnvironmentFile=/etc/cdsed/environment\n"
# The daemon's own mount is in the place of its spool, which would propagate to what is exported.
_SERVER = """
networkctl reload
mount -t debugfs debugfs /sys/kernel/debug
systemctl restart nfs-server
exportfs -ra
umount /var/spool/cdsed
mount -t nfs -o vers=4.2,actimeo=60,nosharecache 127.0.0.1:/data/spool /var/spool/cdsed
cdsed engine init /etc/cdsed/engine
chown -R cdsed: /etc/cdsed/engine
echo CDSED_SCHEDULER=tls://127.0.0.1:8786 > /etc/cdsed/worker.env
"""
_START = "systemctl daemon-reload; systemctl start cdsed-scheduler cdsed"
# A client with a network and a name of its own: a server tells clients apart by that. $1 is its name, $2 its number.
_CLIENT = """
mkdir -p /mnt/$1
ip netns add $1
ip link add out$2 type veth peer name in netns $1
ip address add 10.79.$2.1/24 dev out$2
ip link set out$2 up
ip -n $1 address add 10.79.$2.2/24 dev in
ip -n $1 link set in up
unshare --uts sh -euc 'echo $1 > /proc/sys/kernel/hostname
nsenter --net=/run/netns/$1 mount -t nfs -o vers=4.2,actimeo=60,nosharecache 10.79.$2.1:/data/spool /mnt/$1' - $1 $2
"""
# The unit that is installed, with another spool at the same path.
_WORKER = """
sed s/cdsed-worker/$1/g /usr/lib/systemd/system/cdsed-worker.service > /etc/systemd/system/$1.service
mkdir /etc/systemd/system/$1.service.d
printf '[Service]\\nBindPaths=/mnt/%s:/var/spool/cdsed\\n' $1 > /etc/systemd/system/$1.service.d/mount.conf
"""
_KILL_HOLDERS = """
for process in $(cat /sys/fs/cgroup/system.slice/$1.service/cgroup.procs)
do ! grep -qs cdsed.engine.holder /proc/$process/cmdline || kill -KILL $process || true
done
"""
_KILL_HEAD = "pkill -KILL --full '[r]ole download' || true"  # not the shell that has this pattern in its command
_APPEARED = Path(__file__).with_name("appeared.py")
_BEGUN = "SELECT 1 FROM piece WHERE done_bytes > 0 AND done_bytes < size_bytes"
_WAITS = "SELECT cause FROM event WHERE target IN ('retry_wait', 'corrupt', 'failed')"
_DIRTY = ("BdiWriteback", "BdiReclaimable")
_WRITTEN_WITHIN_S = 300


class Client:
    """A mount of the export at ``/mnt/NAME``."""

    def __init__(self, guest: Guest, name: str, number: int) -> None:
        self.name = name
        self._guest, self._link = guest, f"out{number}"
        self._lost_bytes = 0  # the kernel counts what could not be written for as long as it runs
        self._shell(_CLIENT, name, str(number))
        device = guest.run("mountpoint", "-d", f"/mnt/{name}").strip()
        self._memory = f"/sys/kernel/debug/bdi/{device}/stats"

    def cut(self) -> None:
        """As `Mounted`."""
        self._guest.run("ip", "link", "set", self._link, "down")

    def heal(self) -> int:
        """As `Mounted`."""
        waiting = self.dirty_bytes()
        self._guest.run("ip", "link", "set", self._link, "up")
        # It ends when all is written, or cannot be written because the file has no name any more.
        self._guest.attempt("sync", "-f", f"/mnt/{self.name}", timeout_s=_WRITTEN_WITHIN_S)
        self._lost_bytes += self.dirty_bytes()
        return waiting

    def dirty_bytes(self) -> int:
        """Return how much of what was written here the server does not have."""
        said = dict(line.split(":") for line in self._guest.run("cat", self._memory).splitlines() if ":" in line)
        return sum(int(said[name].removesuffix("kB")) * 1024 for name in _DIRTY) - self._lost_bytes

    def _shell(self, script: str, *arguments: str) -> None:
        self._guest.run("sh", "-euc", script, "-", *arguments)


class Node(Client):
    """A worker of Dask, for which the paths of the spool are on a mount of its own."""

    def __init__(self, guest: Guest, name: str, number: int) -> None:
        super().__init__(guest, name, number)
        self._shell(_WORKER, name)

    def start(self) -> None:
        """Let its worker run."""
        self._guest.run("systemctl", "start", self.name)

    def kill(self) -> None:
        """Kill all that runs here; what it has written stays in the memory of the mount."""
        self._guest.run("systemctl", "kill", "--signal=KILL", self.name)
        # What waits for the server of NFS is dead only when that answers.
        self._guest.run("systemctl", "stop", "--no-block", self.name)

    def kill_holders(self) -> None:
        """As `Mounted`."""
        self._shell(_KILL_HOLDERS, self.name)


@dataclass
class Site:
    """A daemon, a scheduler and two workers that are not started, and a reader of the spool."""

    lab: GuestLab
    nodes: list[Node]

    def judge(self) -> None:
        """Stop all, and compare what appeared and what is there, on each mount and on the server, with the truth."""
        guest, names = self.lab.guest, [name for each in self.lab.judge.dropped.values() for name in each]
        truth = {name: {path: each.md5 for path, each in self.lab.sandbox.truth(name).items()} for name in names}
        places = (_SPOOL, "/mnt/reader")
        wanted = sorted((place, name) for place in places for name in names)
        guest.wait("the reader sees all", lambda: len(self._appeared()) >= len(wanted), 180)
        appeared = self._appeared()
        assert sorted((place, name) for place, name, _ in appeared) == wanted
        assert [(place, name) for place, name, digests in appeared if digests != truth[name]] == []
        guest.run("systemctl", "stop", "cdsed", *(node.name for node in self.nodes))
        all_files = {f"./{name}/{path}": md5 for name, files in truth.items() for path, md5 in files.items()}
        for place in (_SPOOL, "/var/spool/cdsed", "/mnt/reader", *(f"/mnt/{node.name}" for node in self.nodes)):
            said = guest.script(f"cd {place}; find ./*.SAFE -type f -exec md5sum {{}} +")
            found = dict(reversed(line.split(maxsplit=1)) for line in said.splitlines())
            assert found == all_files, place
        self.lab.judge_at_the_end()

    def waits(self) -> list[str]:
        """Return why products have waited."""
        return [cause for [cause] in self.lab.query(_WAITS)]

    def is_at_work(self) -> bool:
        """Tell whether a part of a piece is safe."""
        return bool(self.lab.query(_BEGUN))

    def _appeared(self) -> list[tuple[str, str, dict[str, str]]]:
        return [tuple(json.loads(line)) for line in self.lab.guest.run("cat", "/run/appeared").splitlines()]


@contextlib.contextmanager
def _site(folder: Path, *, bytes_per_s: int) -> Iterator[Site]:
    with running(folder, *make_accounts(1, 1)) as lab:
        guest = lab.guest
        guest.run("systemctl", "stop", "cdsed")
        lab.here.limit_bandwidth(bytes_per_s)
        guest.write("/etc/cdsed/accounts.yml", lab.here.accounts_file.read_text("utf-8"), "600")
        guest.write("/etc/exports", _EXPORT)
        guest.run("mkdir", "-p", "/etc/nfs.conf.d")
        guest.write("/etc/nfs.conf.d/quick.conf", _QUICK_SERVER)
        guest.write("/etc/systemd/network/05-out.network", _UNMANAGED)
        guest.write("/etc/cdsed/environment", _CALM)
        guest.run("mkdir", "-p", "/etc/systemd/system/cdsed-scheduler.service.d")
        guest.write("/etc/systemd/system/cdsed-scheduler.service.d/calm.conf", _CALM_SCHEDULER)
        lab.configure(engine=_ENGINE, transfer=_QUICK)
        guest.script(_SERVER)
        nodes = [Node(guest, f"node{number}", number) for number in (1, 2)]
        Client(guest, "reader", 9)
        guest.begin("python3", "-c", _APPEARED.read_text("utf-8"), "/run/appeared", _SPOOL, "/mnt/reader")
        guest.script(_START)
        yield Site(lab, nodes)


def test_products_over_other_mounts_come_at_once_and_whole_though_caches_last_a_minute(tmp_path: Path) -> None:
    with _site(tmp_path, bytes_per_s=1_000_001) as site:
        for node in site.nodes:
            node.start()
        site.lab.drop("some.txt", *products(6, 801, 600_000))
        site.lab.wait_for_reports(1200)
        print(f"\n{json.dumps(site.lab.status()['machines'])}", flush=True)
        assert site.waits() == []
        site.judge()


def test_what_a_dead_machine_writes_late_over_nfs_harms_nothing(tmp_path: Path) -> None:
    with _site(tmp_path, bytes_per_s=200_001) as site:
        one, two = site.nodes
        _let_die(site, one, two, "before")
        _let_die(site, two, one, "after")
        site.judge()


def _let_die(site: Site, dead: Node, living: Node, when: str) -> None:
    """Let late bytes of a machine arrive before, or after, what it fetched is published by another one."""
    guest, listing = site.lab.guest, f"{when}.txt"
    dead.start()
    site.lab.drop(listing, *products(1, len(listing), 6_000_000))
    guest.wait("some is safe", site.is_at_work)
    dead.cut()
    guest.wait("some is in its memory", lambda: dead.dirty_bytes() > 0)
    dead.kill()
    guest.wait("it is known", lambda: not site.is_at_work())
    living.start()
    if when == "before":
        guest.wait("another one is at it", site.is_at_work)
        late = dead.heal()
    guest.wait("the report", lambda: site.lab.is_reported(listing))
    if when == "after":
        late = dead.heal()
    print(f"\n{late} bytes late, {when} it is published", flush=True)
    assert late > 0


def test_cuts_and_kills_with_late_bytes_over_nfs_lose_and_charge_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("CDSED_KILL_SEED", str(random.SystemRandom().randrange(10**6))))
    print(f"CDSED_KILL_SEED={seed}")
    dice = random.Random(seed)
    with _site(tmp_path, bytes_per_s=300_001) as site:
        guest = site.lab.guest
        for node in site.nodes:
            node.start()
        site.lab.drop("some.txt", *products(8, seed, 1_000_000))
        guest.wait("it is at work", site.is_at_work)
        troubles = MountTroubles(site.nodes, lambda: guest.script(_KILL_HEAD), dice)
        while troubles.faults.total() < 30 and not site.lab.is_reported("some.txt"):
            guest.wait("a while", lambda: dice.random() < 0.2)
            troubles.make()
        troubles.end()
        print(f"{dict(troubles.faults)}; {troubles.written_late} bytes late; {Counter(site.waits())}", flush=True)
        site.lab.wait_for_reports(1200)
        site.judge()
