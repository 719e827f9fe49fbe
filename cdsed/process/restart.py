"""When a dead worker is started again, and when the supervisor gives up. Pure rules."""

from dataclasses import dataclass

from cdsed.errors import ExitCode
from cdsed.process.limits import Limits

#: A worker that leaves with one of these finds the state locked, damaged or its disk full: that ends by itself, or
#: the daemon sees to it.
_PASSING = frozenset({ExitCode.DAMAGED, ExitCode.STATE_DISK, ExitCode.TEMPORARY})

LONG_LIFE_S = 60.0
"""A worker that lived so long had no trouble starting: its earlier deaths are forgotten."""


@dataclass(frozen=True, slots=True)
class CrashRecord:
    """A worker's deaths: in a row, and in a row before it was ready; whether it, or the daemon, ever was ready.

    `crashes` are what people are told of: they are remembered for longer than the pauses grow.
    """

    deaths: int = 0
    boot_failures: int = 0
    booted: bool = False
    crashes: int = 0


@dataclass(frozen=True, slots=True)
class Death:
    """An end nobody asked for; `code` is None for a signal, and for a command that could not be started."""

    code: int | None
    ready: bool
    lived_s: float


@dataclass(frozen=True, slots=True)
class RestartDecision:
    """Start it again after `delay_s`, or leave with the exit code `give_up`."""

    record: CrashRecord
    delay_s: float = 0.0
    give_up: ExitCode | None = None


def after_death(record: CrashRecord, death: Death, limits: Limits) -> RestartDecision:
    """Return what follows from the death of a worker with this record.

    A worker that finds its settings wrong when it boots for the first time will find them wrong again: that ends the
    supervisor at once with CONFIG. Later, the file is just being written, and the others continue with what they read.
    Too many other deaths in a row before ``ready`` end the supervisor with BUG.
    """
    booted = record.booted or death.ready
    misread = not death.ready and death.code == ExitCode.CONFIG
    if misread and not booted:
        return RestartDecision(record, give_up=ExitCode.CONFIG)
    earlier = CrashRecord() if death.lived_s >= LONG_LIFE_S else record
    record = CrashRecord(
        deaths=earlier.deaths + 1,
        boot_failures=0 if death.ready else record.boot_failures + (death.code not in _PASSING and not misread),
        booted=booted,
        crashes=(0 if death.lived_s >= limits.well_after_s else record.crashes) + (death.code != ExitCode.OK),
    )
    if record.boot_failures >= limits.boot_failures_max:
        return RestartDecision(record, give_up=ExitCode.BUG)
    # The exponent is bounded: after months of deaths 2.0**n would overflow.
    delay_s = limits.restart_first_s * 2.0 ** min(record.deaths - 1, 30)
    return RestartDecision(record, delay_s=min(limits.restart_longest_s, delay_s))
