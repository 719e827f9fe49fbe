"""Keep secrets out of messages and out of core files."""

import resource
from typing import NoReturn


def forbid_core_dumps() -> None:
    """Forbid core files of this process and its children; systemd-coredump obeys this limit, too."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Secret:
    """A password or key; only `reveal` returns its text, which must never be printed.

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
