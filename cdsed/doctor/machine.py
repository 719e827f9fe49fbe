"""The machine: clock, memory, limits of the kernel, TCP. It only reads files below /proc."""

import ctypes
import errno
import os
import resource
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cdsed.config.settings import Settings
from cdsed.doctor.finding import Finding, fine, problem, remark

_PROC = Path("/proc")
# What https://documentation.dataspace.copernicus.eu/APIs/TCP.html recommends for downloads, of which a number counts
# as at least, and of three numbers the last.
TCP_RECOMMENDED = {
    "net.core.rmem_max": "2147483647",
    "net.core.wmem_max": "2147483647",
    "net.ipv4.tcp_rmem": "8192 262144 536870912",
    "net.ipv4.tcp_wmem": "4096 65536 536870912",
    "net.core.default_qdisc": "fq",
    "net.ipv4.tcp_congestion_control": "bbr",
    "net.core.netdev_max_backlog": "300000",
    "net.core.somaxconn": "65535",
}
_OPEN_FILES_MIN, _OPEN_FILES_GOOD = 256, 1024
_PROCESS_BYTES = 150 * 10**6  # a download process with its buffers
_OTHER_PROCESSES = 4  # supervisor, intake, resolve, keys
_WATCHES_MIN = 1024
_UNSYNCHRONISED = 0x40  # STA_UNSYNC of adjtimex(2)
_TIMEX = struct.Struct("@Illlli")  # the beginning of struct timex: modes, offset, freq, maxerror, esterror, status


def check_machine(settings: Settings, proc: Path = _PROC) -> Iterator[Finding]:
    """Yield what was found about the machine; `proc` is where its proc file system is."""
    yield _clock()
    yield _memory(settings, proc)
    yield _open_files()
    yield _inotify(settings, proc)
    yield from _tcp(proc)


def _clock() -> Finding:
    buffer = ctypes.create_string_buffer(512)  # modes is 0: nothing is set
    result = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    if result < 0:
        why = os.strerror(ctypes.get_errno())
        means = "cdsed cannot tell whether the clock is right, by which S3 requests are signed"
        return remark("clock", "", f"whether the clock is synchronised is not known: {why}", means, "run `timedatectl`")
    if _TIMEX.unpack_from(buffer.raw)[-1] & _UNSYNCHRONISED:
        means = "when it is 15 min wrong, S3 refuses every request"
        remedy = "sudo timedatectl set-ntp true, or see to chrony; on a virtual machine the host may do it"
        return remark("clock", "", "the clock is not synchronised by NTP", means, remedy)
    return fine("clock", "", "the clock is synchronised")


def _memory(settings: Settings, proc: Path) -> Finding:
    needed = (settings.transfer.processes + _OTHER_PROCESSES) * _PROCESS_BYTES
    free = _free_memory_bytes(proc)
    if free is None:
        return remark("memory", "", "the free memory is not known", "", "run `free -h`")
    text = f"{free / 1e9:.1f} GB of memory available; {settings.transfer.processes} download processes"
    if free < needed:
        means = f"they may use {needed / 1e9:.1f} GB, and the kernel may kill one"
        return remark("memory", "", text, means, "lower transfer.processes, or free memory")
    return fine("memory", "", text)


def _free_memory_bytes(proc: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in (proc / "meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"at most {soft} open files for each process"
    if soft < _OPEN_FILES_MIN:
        remedy = f"ulimit -n {_OPEN_FILES_GOOD}, or LimitNOFILE={_OPEN_FILES_GOOD} in the unit (hard limit: {hard})"
        return problem("open_files", "", text, "downloads fail with 'too many open files'", remedy)
    return fine("open_files", "", text)


def _inotify(settings: Settings, proc: Path) -> Finding:
    means = f"a dropped listing is noticed by the scan, every {settings.inbox.scan_every_s:g} s"
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(0)
    if descriptor < 0:
        why = ctypes.get_errno()
        text = "all inotify instances of this user are in use" if why == errno.EMFILE else os.strerror(why)
        return remark("inotify", "", text, means, "sudo sysctl -w fs.inotify.max_user_instances=1024")
    os.close(descriptor)
    watches = _number(proc / "sys/fs/inotify/max_user_watches")
    if watches is not None and watches < _WATCHES_MIN:
        remedy = "sudo sysctl -w fs.inotify.max_user_watches=65536"
        return remark("inotify", "", f"at most {watches} watches for this user", means, remedy)
    return fine("inotify", "", "a dropped listing is noticed at once")


def _tcp(proc: Path) -> Iterator[Finding]:
    low = {}
    for name, recommended in TCP_RECOMMENDED.items():
        with suppress(OSError):  # a container does not have them all
            now = " ".join((proc / "sys" / name.replace(".", "/")).read_text(encoding="ascii").split())
            if not _is_enough(now, recommended):
                low[name] = now
    if not low:
        yield fine("tcp", "", "TCP is set as CDSE recommends")
        return
    yield remark(
        "tcp",
        "",
        "TCP is not set as CDSE recommends: " + ", ".join(f"{name} is {now}" for name, now in low.items()),
        "a connection to a distant server may be slow",
        "put into /etc/sysctl.d/60-cdse.conf, then run sudo sysctl --system: "
        + "; ".join(f"{name}={TCP_RECOMMENDED[name]}" for name in low),
    )


def _is_enough(now: str, recommended: str) -> bool:
    if not recommended.rsplit(maxsplit=1)[-1].isdigit():
        return now == recommended
    last = now.rsplit(maxsplit=1)[-1] if now else ""
    return last.isdigit() and int(last) >= int(recommended.rsplit(maxsplit=1)[-1])


def _number(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_text(encoding="ascii"))
    return None
