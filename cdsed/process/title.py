"""The command line of this process as ``ps`` shows it."""

import ctypes
import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_MM, _PR_SET_MM_MAP = 35, 14
# struct prctl_mm_map of <linux/prctl.h>: eleven addresses, that of an auxiliary vector with its size, a descriptor.
_MAP = struct.Struct("=11QQIi")
_NO_VECTOR, _NO_DESCRIPTOR = (0, 0), -1
# Numbers of fields in /proc/self/stat, see proc(5), by their order in the map; the break is not among them.
_CODE, _DATA, _START_BRK, _START_STACK, _ENVIRONMENT = (26, 27), (45, 46), 47, 28, (50, 51)

_shown: list[ctypes.Array[ctypes.c_char]] = []  # the kernel reads the text from here as long as the process lives


def show_command(words: Sequence[str]) -> None:
    """Let ``ps`` and ``/proc/PID/cmdline`` show this command; where the kernel refuses it, they show the former one."""
    with suppress(OSError, ValueError, IndexError):
        text = b"".join(os.fsencode(word) + b"\0" for word in words)
        stat = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()

        def field(number: int) -> int:
            return int(stat[number - 3])

        libc = ctypes.CDLL(None)
        libc.sbrk.restype = ctypes.c_void_p
        _shown[:] = [ctypes.create_string_buffer(text, len(text))]
        begin = ctypes.addressof(_shown[0])
        addresses = (
            *map(field, (*_CODE, *_DATA, _START_BRK)),
            libc.sbrk(0),
            field(_START_STACK),
            *(begin, begin + len(text)),
            *map(field, _ENVIRONMENT),
        )
        new = _MAP.pack(*addresses, *_NO_VECTOR, _NO_DESCRIPTOR)
        libc.prctl(_PR_SET_MM, _PR_SET_MM_MAP, new, len(new), 0)
