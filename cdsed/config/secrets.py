"""A string that never shows itself, and a process that leaves no picture of its memory behind."""

import resource
from typing import NoReturn


def forbid_core_dumps() -> None:
    """Have the kernel write no core file of this process or of what it starts; systemd-coredump heeds it, too."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Secret:
    """A password or key; only `reveal` gives it away, and nobody prints what `reveal` returns.

    Parameters
    ----------
    value
        The secret text.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret text itself."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled: each process reads the accounts file itself")
