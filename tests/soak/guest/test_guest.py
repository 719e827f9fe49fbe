"""A whole machine under qemu, with cdsed under its systemd, that is suspended, and has bad lines and bad disks."""

import re
import time
from collections.abc import Iterator

import pytest

from tests.soak.guest.image import why_not
from tests.soak.guest.lab import GuestLab, products, running

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(why_not()), reason=f"no machine under qemu here: {why_not()}"),
    pytest.mark.timeout(0),
]

_ASLEEP_S = 120
_AT_ONCE_S = 60
# One per cent of the packets in each direction, and 150 ms.
_BAD_LINE = """
modprobe ifb numifbs=1
ip link set ifb0 up
tc qdisc add dev eth0 root netem delay 150ms loss 1% limit 10000
tc qdisc add dev eth0 handle ffff: ingress
tc filter add dev eth0 parent ffff: protocol ip u32 match u32 0 0 action mirred egress redirect dev ifb0
tc qdisc add dev ifb0 root netem delay 150ms loss 1% limit 10000
"""
_GOOD_LINE = "tc qdisc delete dev eth0 root; tc qdisc delete dev eth0 ingress"
_FLAKY = """
truncate -s 300M /data/flaky.img
device=$(losetup --find --show /data/flaky.img)
dmsetup create flaky --table "0 $(blockdev --getsz $device) linear $device 0"
mkfs.ext4 -q /dev/mapper/flaky
mount /dev/mapper/flaky /mnt
"""
_FAILING = """
table=$(dmsetup table flaky)
set -- $table
dmsetup suspend --noflush --nolockfs flaky
dmsetup load flaky --table "0 $2 flakey $4 0 0 3600 1 error_writes"
dmsetup resume flaky
"""
_HEALED = """
set -- $(dmsetup table flaky)
dmsetup suspend --noflush --nolockfs flaky
dmsetup load flaky --table "0 $2 linear $4 0"
dmsetup resume flaky
"""


@pytest.fixture(scope="module")
def machine_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuestLab]:
    """Give one machine to all tests here, because it boots for a minute."""
    with running(tmp_path_factory.mktemp("guest")) as entered:
        yield entered


@pytest.fixture
def lab(machine_lab: GuestLab) -> GuestLab:
    """Give the machine, with its service at work."""
    machine_lab.verdicts.found.clear()
    machine_lab.guest.run("systemctl", "start", "cdsed")
    return machine_lab


def test_a_transfer_in_a_booted_machine_is_whole(lab: GuestLab) -> None:
    lab.drop("first.txt", *products(3, 1, 3_000_000))
    lab.wait_for_reports()
    lab.judge_at_the_end()


def test_a_machine_that_stood_still_goes_on_within_a_minute(lab: GuestLab) -> None:
    lab.drop("stopped.txt", *products(4, 2, 8_000_000))
    lab.wait_for_bytes()
    lab.guest.tell("stop")
    time.sleep(_ASLEEP_S)
    lab.guest.tell("cont")
    lab.wait_for_bytes(500_000, _AT_ONCE_S)
    lab.wait_for_reports()
    lab.judge_at_the_end()


def test_a_machine_that_was_suspended_goes_on_within_a_minute(lab: GuestLab) -> None:
    lab.drop("suspended.txt", *products(4, 3, 8_000_000))
    lab.wait_for_bytes()
    lab.guest.begin("systemctl", "suspend")
    lab.guest.wait("it sleeps", lambda: lab.guest.tell("query-status")["return"]["status"] == "suspended")
    time.sleep(_ASLEEP_S)
    lab.guest.tell("system_wakeup")
    lab.wait_for_bytes(500_000, _AT_ONCE_S)
    lab.wait_for_reports()
    assert "suspend" in lab.guest.run("journalctl", "-b", "-k", "--no-pager", "--grep", "PM: suspend")
    lab.judge_at_the_end()


def _bytes_per_s(lab: GuestLab, amount: int) -> float:
    lab.wait_for_bytes(500_000)
    began_s, began = time.monotonic(), lab.sent()
    lab.wait_for_bytes(amount)
    return (lab.sent() - began) / (time.monotonic() - began_s)


def test_a_line_that_loses_and_delays_slows_down_and_loses_nothing(lab: GuestLab) -> None:
    lab.drop("good-line.txt", *products(4, 4, 6_000_000))
    good = _bytes_per_s(lab, 12_000_000)
    lab.wait_for_reports()
    lab.guest.script(_BAD_LINE)
    try:
        lab.drop("bad-line.txt", *products(4, 5, 6_000_000))
        bad = _bytes_per_s(lab, 12_000_000)
        lab.wait_for_reports(1200)
        dropped = re.findall(r"dropped (\d+)", lab.guest.run("tc", "-s", "qdisc", "show", "dev", "ifb0"))
    finally:
        lab.guest.script(_GOOD_LINE)
    print(f"\n{good / 1e6:.2f} MB/s, with 1 % loss and 300 ms {bad / 1e6:.2f} MB/s; dropped {dropped}", flush=True)
    assert int(dropped[0]) > 0, "no packet was lost"
    # Eight connections of 59 kB/s are what TCP has at such a loss (MSS / RTT * 1.22 / sqrt(loss)), at least.
    assert bad > 4 * 59_000
    lab.judge_at_the_end()


def test_a_spool_whose_writes_fail_for_some_seconds_loses_nothing(lab: GuestLab) -> None:
    guest = lab.guest
    guest.run("systemctl", "stop", "cdsed")
    guest.script(_FLAKY)
    lab.move_spool()
    guest.script("umount /mnt; mount /dev/mapper/flaky /var/spool/cdsed; systemctl start cdsed")
    lab.drop("flaky.txt", *products(6, 6, 4_000_000))
    lab.wait_for_bytes()
    guest.script(_FAILING)
    said = lab.says("/var/spool/cdsed")
    print(f"\nstatus: {said}", flush=True)
    guest.script(_HEALED)
    # The journal of ext4 has ended, as on a disk: its owner checks it, and mounts it again.
    guest.script("systemctl stop cdsed; umount /var/spool/cdsed; e2fsck -fy /dev/mapper/flaky || [ $? = 1 ]")
    guest.script("mount /dev/mapper/flaky /var/spool/cdsed; systemctl start cdsed")
    lab.wait_for_reports()
    guest.script("systemctl stop cdsed; umount /var/spool/cdsed; mount /dev/mapper/flaky /mnt")
    lab.move_spool(back=True)
    guest.script("umount /mnt; dmsetup remove flaky; losetup -D; rm /data/flaky.img")
    lab.judge_at_the_end()
