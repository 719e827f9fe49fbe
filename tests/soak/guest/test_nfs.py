"""Spool and pre-spool on NFS: two mounts of one export, whose server is restarted, and whose export goes away."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.soak.guest.image import why_not
from tests.soak.guest.lab import GuestLab, products, running

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(why_not()), reason=f"no machine under qemu here: {why_not()}"),
    pytest.mark.timeout(0),
]

_EXPORT = "/data/export 127.0.0.1(rw,sync,no_root_squash,no_subtree_check,fsid=77)\n"
# Clients may take back what they had open for ten seconds after a restart, and not for ninety.
_QUICK_SERVER = "[nfsd]\ngrace-time=10\nlease-time=10\n"
_UNIT = "[Service]\nReadWritePaths=/var/spool/pre\n"
_MOUNTS = """
mkdir -p /data/export/spool /data/export/pre /var/spool/pre
chown cdsed: /data/export/spool /data/export/pre
systemctl restart nfs-server
exportfs -ra
mount -t nfs -o vers=4.2,actimeo=60 127.0.0.1:/data/export/spool /var/spool/cdsed
mount -t nfs -o vers=4.2,actimeo=60,nosharecache 127.0.0.1:/data/export/pre /var/spool/pre
systemctl daemon-reload
systemctl start cdsed
"""
_GONE_S = 30

# A second client in a network of its own, with another name: a server tells clients apart by that.
_SECOND_CLIENT = """
mkdir -p /data/export /mnt/here /mnt/there
ip netns add node
ip link add out type veth peer name in netns node
ip address add 10.79.0.1/24 dev out
ip link set out up
ip -n node address add 10.79.0.2/24 dev in
ip -n node link set in up
systemctl restart nfs-server
exportfs -ra
mount -t nfs -o vers=4.2,actimeo=60,nosharecache 127.0.0.1:/data/export /mnt/here
unshare --uts sh -euc 'echo node > /proc/sys/kernel/hostname
nsenter --net=/run/netns/node mount -t nfs -o vers=4.2,actimeo=60,nosharecache 10.79.0.1:/data/export /mnt/there'
"""
# Else it gets the address of the other one, and loses its own.
_UNMANAGED = "[Match]\nName=out\n[Link]\nUnmanaged=yes\n"
_TWO_MOUNTS = Path(__file__).with_name("two_mounts.py")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[GuestLab]:
    """Give a machine whose spool and pre-spool are on NFS."""
    with running(tmp_path) as lab:
        lab.guest.run("systemctl", "stop", "cdsed")
        lab.guest.write("/etc/exports", _EXPORT)
        lab.guest.run("mkdir", "-p", "/etc/nfs.conf.d", "/etc/systemd/system/cdsed.service.d")
        lab.guest.write("/etc/nfs.conf.d/quick.conf", _QUICK_SERVER)
        lab.guest.write("/etc/systemd/system/cdsed.service.d/nfs.conf", _UNIT)
        lab.configure(pre_spool="/var/spool/pre")
        lab.guest.script(_MOUNTS)
        yield lab


def test_a_server_that_restarts_and_an_export_that_goes_away_lose_nothing(lab: GuestLab) -> None:
    guest = lab.guest
    lab.drop("restarted.txt", *products(5, 11, 5_000_000))
    lab.wait_for_bytes()
    guest.run("systemctl", "restart", "nfs-server")
    lab.wait_for_reports()
    print("\na restart of the server: done", flush=True)

    lab.drop("stopped.txt", *products(5, 12, 5_000_000))
    lab.wait_for_bytes()
    guest.run("systemctl", "stop", "nfs-server")
    time.sleep(_GONE_S)
    print(f"without a server: {_alarms(lab)}", flush=True)
    guest.run("systemctl", "start", "nfs-server")
    lab.wait_for_reports()
    print("a server that was away: done", flush=True)

    lab.drop("stale.txt", *products(5, 13, 5_000_000))
    lab.wait_for_bytes()
    guest.run("exportfs", "-ua")
    said = lab.says("/var/spool")
    print(f"without the export: {said}", flush=True)
    guest.run("exportfs", "-ra")
    lab.wait_for_reports()
    print("an export that was away: done", flush=True)

    guest.script("systemctl stop cdsed; umount /var/spool/cdsed /var/spool/pre; sync")
    assert guest.run("find", "/data/export/pre", "-name", "*.SAFE*").split() == []
    guest.script("cp -a /data/export/spool/. /data/spool/; sync")
    lab.judge_at_the_end()


def test_two_mounts_show_after_an_open_what_is_there_and_late_bytes_reach_no_new_file(tmp_path: Path) -> None:
    with running(tmp_path) as lab:
        guest = lab.guest
        guest.run("systemctl", "stop", "cdsed")
        guest.write("/etc/exports", _EXPORT.replace("127.0.0.1", "*"))
        guest.run("mkdir", "-p", "/etc/nfs.conf.d")
        guest.write("/etc/nfs.conf.d/quick.conf", _QUICK_SERVER)
        guest.write("/etc/systemd/network/05-out.network", _UNMANAGED)
        guest.run("networkctl", "reload")
        guest.script(_SECOND_CLIENT)
        link = "ip link set out {}".format
        words = ("/usr/lib/cdsed/bin/python", "-c", _TWO_MOUNTS.read_text("utf-8"), "/mnt/here", "/mnt/there")
        said = guest.run(*words, link("down"), link("up"), timeout_s=1800)
        print(f"\n{said}", flush=True)
        saw = json.loads(said.splitlines()[-1])
        assert saw["right after an open"]
        assert [saw[f"made again, round {number}"] for number in range(3)] == [True] * 3
        assert saw["made again: late bytes"] == [-1, 0]
        assert saw["made again: whole"]


def _alarms(lab: GuestLab) -> list[str]:
    return [alarm["text"] for alarm in lab.status()["alarms"]]
