"""cdsodatacli's ``session``: free sessions of an account group, in a mapping of the caller.

cdsed itself leases sessions through its state and the kernel's locks (`cdsed.store.leases`), so that processes can
share an account. These functions are for scripts that still have their own loop.
"""

import threading
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import pandas as pd

from cdsed.compat.configuration import logins

MAX_SESSION_PER_ACCOUNT = 4

_COLUMNS = ("s3_session", "login", "S3Path", "output_path", "safe", "s3_access_key", "s3_secret")

_one_at_a_time = threading.Lock()

Sessions = MutableMapping[str, MutableMapping[int, bool]]


def get_sessions_download_available_s3(
    conf: Mapping[str, Any],
    active_s3_sessions_status: Sessions,
    subset_to_treat: pd.DataFrame,
    blacklist: Sequence[str],
    logins_group: str = "logins",
) -> tuple[pd.DataFrame, Sessions]:
    """Assign free sessions to products, until one of the two is used up.

    Parameters
    ----------
    conf
        A configuration of cdsodatacli.
    active_s3_sessions_status
        For each login, for each session (0 to 3), whether it is in use; updated in place.
    subset_to_treat
        Products, with columns ``safe``, ``S3Path`` and ``outputpath``.
    blacklist
        Logins that may not be used.
    logins_group
        The group of accounts in `conf`.

    Returns
    -------
    DataFrame
        One row per product that got a session: ``s3_session``, ``login``, ``S3Path``, ``output_path``, ``safe``,
        ``s3_access_key``, ``s3_secret``. It holds secrets: do not print it.
    mapping
        `active_s3_sessions_status`, with the assigned sessions set to True.

    Raises
    ------
    ConfigKeyError
        The group does not exist.
    KeyError
        It lacks a login, or the login lacks its S3 keys.
    """
    credentials = logins(conf, logins_group)
    columns = zip(subset_to_treat["S3Path"], subset_to_treat["outputpath"], subset_to_treat["safe"], strict=True)
    rows = []
    with _one_at_a_time:
        for (login, session), (s3_path, output_path, safe) in zip(
            list(_free(active_s3_sessions_status, blacklist)), columns, strict=False
        ):
            keys = credentials[login]
            active_s3_sessions_status[login][session] = True
            rows.append((session, login, s3_path, output_path, safe, keys["s3-access-key"], keys["s3-secret"]))
    return pd.DataFrame(rows, columns=list(_COLUMNS)), active_s3_sessions_status


def release_s3_session_after_usage(active_s3_sessions_status: Sessions, login: str, session_id: int) -> Sessions:
    """Mark a session as free again.

    Parameters
    ----------
    active_s3_sessions_status
        As for `get_sessions_download_available_s3`; updated in place.
    login, session_id
        The session, as the columns ``login`` and ``s3_session`` name it.

    Raises
    ------
    KeyError
        The login is not one of `active_s3_sessions_status`.
    """
    with _one_at_a_time:
        active_s3_sessions_status[login][session_id] = False
    return active_s3_sessions_status


def _free(sessions: Sessions, blacklist: Sequence[str]) -> Iterator[tuple[str, int]]:
    for login, used in sessions.items():
        if login not in blacklist:
            yield from ((login, session) for session, busy in used.items() if not busy)
