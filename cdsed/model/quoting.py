"""What may be quoted of a text that should name a product: only as much of it as looks like such a name.

Whoever drops the wrong file into the inbox drops passwords and keys. So nothing of a line is ever repeated in a
receipt, a log, the state or on a screen but the beginning of a name, as far as it has the form of one.
"""

import re

from cdsed.model.families import DIRECTORY_EXTENSIONS, Family
from cdsed.model.families.form import TIME
from cdsed.model.families.other import LIKE_A_BEGINNING

QUOTED_CHARACTERS_MAX = 16

_BEGINNING = re.compile(rf"(?<![A-Za-z0-9_-])(?:{'|'.join(family.mission.beginning for family in Family)})")
# Looser than the above, for whole files: any case, any field, for a misspelt listing is still one.
_LIKE_A_NAME = re.compile(
    rf"(?<![A-Za-z0-9_-]){LIKE_A_BEGINNING}"
    rf"|_{TIME}(?![0-9Z])"
    rf"|[A-Z0-9_](?:{'|'.join(map(re.escape, DIRECTORY_EXTENSIONS))})(?![A-Z0-9])",
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
