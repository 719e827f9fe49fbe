"""A timer of the kernel that kills this process, so that its connections are closed at a time even if it cannot run.

The timer counts CLOCK_BOOTTIME, so time in suspend counts, too. SIGKILL also ends a process that is stopped (SIGSTOP)
or in a frozen cgroup of version 2. It does not reach one in a frozen cgroup of version 1 before that thaws, nor a
paused virtual machine, whose clock stands still.

Python has no POSIX timers, and the one library that binds them (posix-timers) has had no release since 2014.
"""

import ctypes
import os
import signal
import time
from functools import cache

_TIMER_ABSTIME = 1  # <time.h>
_LEAST_NS = 1  # 0 disarms
_NS = 1_000_000_000


class _SignalEvent(ctypes.Structure):
    """``struct sigevent`` of <signal.h>, which is 64 bytes long; ``sigev_notify`` 0 is SIGEV_SIGNAL."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_char * 48),
    )


class _TimerSpec(ctypes.Structure):
    """``struct itimerspec``: an interval, which stays 0, and the time of the only expiration."""

    _fields_ = (
        ("every_s", ctypes.c_long),
        ("every_ns", ctypes.c_long),
        ("at_s", ctypes.c_long),
        ("at_ns", ctypes.c_long),
    )


class Deadman:
    """Kills this process at a time that can be moved. A forked child, and a program that is executed, have no timer.

    Raises
    ------
    OSError
        The kernel gives no timer: nothing may then rely on it.
    """

    def __init__(self) -> None:
        self._timer = ctypes.c_void_p()
        event = _SignalEvent(signo=signal.SIGKILL)
        _call("timer_create", time.CLOCK_BOOTTIME, ctypes.byref(event), ctypes.byref(self._timer))

    def kill_at(self, boot_s: float) -> None:
        """Kill the process at this time of CLOCK_BOOTTIME, and not at the one set before; at once if it is past."""
        self._set(max(_LEAST_NS, int(boot_s * _NS)))

    def disarm(self) -> None:
        """Kill no more."""
        self._set(0)

    def _set(self, at_ns: int) -> None:
        times = _TimerSpec(0, 0, *divmod(at_ns, _NS))
        _call("timer_settime", self._timer, _TIMER_ABSTIME, ctypes.byref(times), None)


def _call(name: str, *arguments: object) -> None:
    if getattr(_c_library(), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


@cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
