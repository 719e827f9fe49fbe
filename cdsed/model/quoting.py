"""What may be quoted of a text that should name a product: only as much of it as looks like such a name.

Whoever drops the wrong file into the inbox drops passwords and keys. So nothing of a line is ever repeated in a
receipt, a log, the state or on a screen but the beginning of a name, as far as it has the form of one.
"""

import re

QUOTED_CHARACTERS_MAX = 16

_BEGINNING = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"S1[A-Z]_(?:(?:IW|EW|WV|EN|S[1-6])_(?:[A-Z]{3}[FHM_]_(?:[0-3A][A-Z](?:SH|SV|DH|DV|HH|HV|VV|VH))?)?)?"
    r"|S2[A-Z]_(?:MSIL(?:1C|2A)_(?:20[0-9]{3})?)?"
    r"|S3[A-Z_]_(?:(?:OL|SL|SR|SY|DO|MW|GN|AX)_(?:[012_]_(?:[A-Z0-9_]{6})?)?)?"
    r"|S5P_(?:(?:NRTI|OFFL|RPRO|TEST|OGCA|GSOV|OPER)_(?:L[0-9]_[A-Z0-9_]{4})?)?"
    r"|S6[A-Z_]_(?:(?:P4|MW|GN|PO|RO|AX)_(?:[0-9_][A-Z_]_(?:[A-Z0-9_]{6})?)?)?"
    r"|S[1-9][A-Z_]_)"
)
# Looser than the above, for whole files: any case, any field, for a misspelt listing is still one.
_LIKE_A_NAME = re.compile(
    r"(?<![A-Za-z0-9_-])S(?:[1-46-9][A-Z_]|5P)_[A-Z0-9]"
    r"|_[0-9]{8}T[0-9]{6}(?![0-9Z])"
    r"|[A-Z0-9_]\.(?:SAFE|SEN3|SEN6)(?![A-Z0-9])",
    re.IGNORECASE,
)


class NotAName(ValueError):
    """A word that cannot be a product's name; `why` says so without quoting it, as what the word does."""

    def __init__(self, word: str, why: str) -> None:
        super().__init__(f"{word!r} {why}" if word else why)
        self.why = why


def quotable(text: str) -> str:
    """Return the first part of a text that looks like the beginning of a product's name; '' where nothing does."""
    found = _BEGINNING.search(text)
    return found[0][:QUOTED_CHARACTERS_MAX] if found else ""


def holds_like_a_name(text: str) -> bool:
    """Tell whether anything in a text looks like a product's name, be it misspelt."""
    return _LIKE_A_NAME.search(text) is not None
