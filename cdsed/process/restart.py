"""The rules for when a dead worker is started again, and when the supervisor gives up; without side effects."""

from cdsed.errors import ExitCode
from cdsed.frozen import frozen
from cdsed.process.limits import Limits

#: A worker that leaves with one of these found the state locked, damaged or its disk full. These states pass, or the
#: daemon acts on them, so they do not count as boot failures.
_PASSING = frozenset({ExitCode.DAMAGED, ExitCode.STATE_DISK, ExitCode.TEMPORARY})

LONG_LIFE_S = 60.0
"""A worker that ran for this long started well: its earlier deaths are forgotten."""


@frozen
class CrashRecord:
    """A worker's deaths in a row.

    Attributes
    ----------
    deaths
        All of them; the back-off grows with each.
    boot_failures
        Those before it was ready.
    booted
        Whether it, or the whole daemon, was ever ready.
    crashes
        The number that users see. It is reset later than `deaths`: after `Limits.well_after_s`.
    """

    deaths: int = 0
    boot_failures: int = 0
    booted: bool = False
    crashes: int = 0


@frozen
class Death:
    """An end without a request to stop; `code` is None for a signal, and for a command that could not be started."""

    code: int | None
    ready: bool
    lived_s: float


@frozen
class RestartDecision:
    """Start the worker again after `delay_s`, or exit with the code `give_up`."""

    record: CrashRecord
    delay_s: float = 0.0
    give_up: ExitCode | None = None


def after_death(record: CrashRecord, death: Death, limits: Limits) -> RestartDecision:
    """Return what follows from the death of a worker with this record.

    If the settings are wrong at the first boot, a restart does not help: the supervisor exits at once with CONFIG. At a
    later boot an editor may be writing the file, and the other workers continue with the settings they have read. Too
    many other deaths in a row before ``ready`` end the supervisor with BUG.
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
    # The exponent is bounded: after months of deaths in a row 2.0**n would overflow.
    delay_s = limits.restart_first_s * 2.0 ** min(record.deaths - 1, 30)
    return RestartDecision(record, delay_s=min(limits.restart_longest_s, delay_s))
