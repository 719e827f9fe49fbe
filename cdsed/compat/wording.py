"""Messages of the core in the words of those who have a ``localconfig.yml``, and no accounts file of cdsed."""

import re

_ACCOUNTS_FILE = re.compile(r"(?:the|its) accounts file|\S*\baccounts\.yml\b(?::\d+)?")
_RELOAD = re.compile(r",? (?:and|then) (?:reload|restart the daemon)\b")


def in_their_words(message: str, place: str = "localconfig.yml") -> str:
    """Return a message that names `place` instead of cdsed's accounts file; a call has no daemon."""
    return _ACCOUNTS_FILE.sub(place, _RELOAD.sub("", message))
