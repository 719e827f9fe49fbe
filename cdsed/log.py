"""Logging: one record per event on stderr, and no secret in any of them.

Where stderr is the journal of systemd, records go there by its own protocol, with fields (`cdsed.logjournal`). If that
fails, lines on stderr carry the ``<N>`` priority prefix of sd-daemon(3) and no time. Elsewhere lines begin with UTC
time, or are JSON. Every process calls `setup`. A command prints its error with `print_error`.
"""

import json
import logging
import os
import re
import sys
import time
from urllib.parse import quote_plus

from cdsed.logevent import fields_of
from cdsed.logflood import Flood

#: The environment variable that ``--log-format`` of ``cdsed run`` sets, for this process and the workers.
VARIABLE = "CDSED_LOG_FORMAT"

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
_ours: list[logging.Handler] = []  # what the last call of `setup` has made
_form = {"settings": "text"}


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
    """Writes the message, then the process; as a line for the journal each physical line gets a prefix."""

    def __init__(self, *, process: str, journal: bool) -> None:
        super().__init__("%(message)s" if journal else "%(asctime)s %(levelname)-7s %(message)s")
        self.converter = time.gmtime
        self.default_time_format = "%Y-%m-%dT%H:%M:%SZ"
        self.default_msec_format = ""
        self._process = process
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = self.text(record).replace("\n", "\n    ")
        if not self._journal:
            return text
        prefix = f"<{_priority(record)}>"
        return "\n".join(prefix + line for line in text.split("\n"))

    def text(self, record: logging.LogRecord) -> str:
        """Return the message and what follows it."""
        return _clean(f"{super().format(record)} [{self._process}]")

    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        """Return the fields of an entry of the journal."""
        names = {key: key.upper() if key == "message_id" else f"CDSED_{key.upper()}" for key, _ in fields_of(record)}
        return {
            "MESSAGE": self.text(record),
            "PRIORITY": str(_priority(record)),
            "CDSED_PROCESS": self._process,
            **{names[key]: _clean(value) for key, value in fields_of(record)},
        }


class _JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object on one line of ASCII, whatever it contains."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        exception = self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""
        return json.dumps(
            {
                "time": _milliseconds(record.created),
                "level": record.levelname,
                "process": self._process,
                "pid": record.process,
                "message": _valid(redact(record.getMessage())),
                **{key: _valid(redact(value)) for key, value in fields_of(record)},
                **({"exception": _valid(redact(exception))} if exception else {}),
            }
        )

    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        """Return the fields of an entry of the journal, whose message is the object."""
        return {**_Formatter(process=self._process, journal=True).fields(record), "MESSAGE": self.format(record)}


def _priority(record: logging.LogRecord) -> int:
    return _SYSLOG_PRIORITY.get(record.levelno, _SYSLOG_PRIORITY[logging.INFO])


def _milliseconds(utc_s: float) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(utc_s))}.{int(utc_s * 1000) % 1000:03d}Z"


def _valid(text: str) -> str:
    r"""Return a text in which bytes of file names that are not UTF-8 are written as ``\udcXX``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _clean(text: str) -> str:
    """Return a text without secrets, and without characters that move the cursor."""
    return _valid(_CONTROL.sub(_escaped, redact(text)))


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
    if _wants_json():
        line = {"time": _milliseconds(time.time()), "level": "ERROR", "process": "cdsed", "pid": os.getpid()}
        sys.stderr.write(json.dumps({**line, "message": _valid(redact(text))}) + "\n")
        return
    prefix = f"<{_SYSLOG_PRIORITY[logging.ERROR]}>" if _stderr_is_the_journal() else ""
    for line_of_text in text.split("\n"):
        sys.stderr.write(f"{prefix}{line_of_text}\n")


def _wants_json() -> bool:
    """Tell whether the log of this process is JSON: the environment says so, or the settings that were read last."""
    return os.environ.get(VARIABLE, _form["settings"]) == "json"


def setup(process: str, level: str = "INFO", form: str = "text") -> None:
    """Send the log of this process to stderr, or to the journal if stderr is the journal.

    Call this again when the settings are known.

    Parameters
    ----------
    process
        The name of this process in each record, e.g. ``download-1``.
    level
        ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``; the libraries below log at WARNING or above.
    form
        ``text`` or ``json``; the environment variable `VARIABLE` wins.
    """
    _form["settings"] = form
    journal = _stderr_is_the_journal()
    formatter = _JsonFormatter(process) if _wants_json() else _Formatter(process=process, journal=journal)
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    if journal:
        from cdsed.logjournal import JournalHandler

        handler = JournalHandler(formatter.fields, handler)
    handler.addFilter(Flood())
    root = logging.getLogger()
    while _ours:
        _ours.pop().close()
    _ours.append(handler)
    root.handlers[:] = [handler]
    root.setLevel(level)
    for library in ("botocore", "boto3", "urllib3", "tenacity"):
        logging.getLogger(library).setLevel(max(logging.getLevelName(level), logging.WARNING))
