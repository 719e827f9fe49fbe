"""The limits of the identity service and the keys manager, which a test may change while the sandbox runs."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass
class Rules:
    """Limits that CDSE documents or is known to have; otherwise a plausible number.

    Parameters
    ----------
    token_s, refresh_s
        How long an access token and its session last, in seconds.
    sessions_max
        Sessions of one account; a login beyond is refused with 400.
    failures_max, lockout_s
        Wrong passwords in a row after which the account is locked, and for how many seconds.
    keys_max
        S3 keys of one account, without the one of the sandbox.
    key_delay_s
        Seconds until S3 accepts a new key.
    drop_key_answers
        Number of keys that are made without a response: the connection is closed instead.
    """

    token_s: float = 600
    refresh_s: float = 3600
    sessions_max: int = 100
    failures_max: int = 5
    lockout_s: float = 60
    keys_max: int = 10
    key_delay_s: float = 0
    drop_key_answers: int = 0

    def change(self, values: Mapping[str, Any]) -> None:
        """Set some rules; ValueError for an unknown one."""
        unknown = sorted(set(values) - {field.name for field in fields(self)})
        if unknown:
            raise ValueError(f"no such rule: {', '.join(unknown)}")
        for name, value in values.items():
            setattr(self, name, type(getattr(Rules, name))(value))
