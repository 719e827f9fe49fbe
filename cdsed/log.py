"""Logging: one line per event on stderr, and no secret in any of them.

Where stderr goes to the journal of systemd, lines carry the ``<N>`` priority prefix of sd-daemon(3) and no time;
elsewhere they begin with UTC time. Every process calls `setup`. A command prints its error with `print_error`.
"""

import json
import logging
import os
import re
import sys
import time
from urllib.parse import quote_plus

from cdsed.logflood import Flood

_SYSLOG_PRIORITY = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}

# Everything that looks like a credential in a URL, a header or a signed request: libraries may log these.
_CREDENTIAL = re.compile(
    r"(?i)(?P<key>authorization|x-amz-signature|x-amz-security-token|x-amz-credential|signature|secret\w*|password|"
    r"access_?token|refresh_?token|credential)(?P<sep>['\"]?\s*[=:]\s*['\"]?)"
    r"(?P<value>(bearer\s+|aws4-\S+\s+)?[^\s'\"&,;]+)"
)

_TOKEN = re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*")  # a JSON web token; CDSE issues these
# A line may quote the text of a service: it must not move the cursor, nor begin a line that looks like ours.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")

_secrets: dict[str, None] = {}


def hide(secret: str) -> None:
    """Make sure that `secret` never appears in a log line of this process."""
    if len(secret) >= 4:
        _secrets.update({secret: None, quote_plus(secret): None, json.dumps(secret)[1:-1]: None})


def redact(text: str) -> str:
    """Return `text` with ``***`` in place of known secrets, and of everything that looks like a secret."""
    # The longest first: one secret may contain another. `sorted` copies: another thread may add one meanwhile.
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _CREDENTIAL.sub(r"\g<key>\g<sep>***", _TOKEN.sub("***", text))


class _Formatter(logging.Formatter):
    """Writes the message, then the process; for the journal each physical line gets a prefix."""

    def __init__(self, *, process: str, journal: bool) -> None:
        super().__init__("%(message)s" if journal else "%(asctime)s %(levelname)-7s %(message)s")
        self.converter = time.gmtime
        self.default_time_format = "%Y-%m-%dT%H:%M:%SZ"
        self.default_msec_format = ""
        self._process = process
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = _CONTROL.sub(_escaped, redact(f"{super().format(record)} [{self._process}]")).replace("\n", "\n    ")
        if not self._journal:
            return text
        prefix = f"<{_SYSLOG_PRIORITY.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in text.split("\n"))


def _escaped(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]


def _stderr_is_the_journal() -> bool:
    """Compare stderr with ``$JOURNAL_STREAM`` (systemd.exec(5)): a command may have redirected stderr since."""
    try:
        stderr = os.fstat(2)
    except OSError:  # it is closed
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stderr.st_dev}:{stderr.st_ino}"


def print_error(text: str) -> None:
    """Print why a command fails to stderr, line by line; in the journal each line is an error."""
    prefix = f"<{_SYSLOG_PRIORITY[logging.ERROR]}>" if _stderr_is_the_journal() else ""
    for line in text.split("\n"):
        sys.stderr.write(f"{prefix}{line}\n")


def setup(process: str, level: str = "INFO") -> None:
    """Send the log of this process to stderr; call this again when the level is known.

    Parameters
    ----------
    process
        The name at the end of each line, e.g. ``download-1``.
    level
        ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``; the libraries below log at WARNING or above.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Flood())
    handler.setFormatter(_Formatter(process=process, journal=_stderr_is_the_journal()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for library in ("botocore", "boto3", "urllib3", "tenacity"):
        logging.getLogger(library).setLevel(max(logging.getLevelName(level), logging.WARNING))
    for library in ("apscheduler", "watchdog"):  # our own listeners log what these report
        logging.getLogger(library).setLevel(logging.CRITICAL)
