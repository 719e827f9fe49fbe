"""What may be quoted of a text that should name a product: only the part that looks like such a name.

A file that is dropped into the inbox by mistake may have passwords and keys. So receipts, logs, the state and the
screen show only the beginning of a line that has the form of a product's name.
"""

import re

from cdsed.model.families import DIRECTORY_EXTENSIONS, Family
from cdsed.model.families.form import TIME
from cdsed.model.families.other import LIKE_A_BEGINNING

QUOTED_CHARACTERS_MAX = 16

#: The pattern of an id of the catalogue.
UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_BEGINNING = re.compile(rf"(?<![A-Za-z0-9_-])(?:{'|'.join(family.mission.beginning for family in Family)})")
# Looser than the above, for whole files: any case and any field, because a misspelt listing is still a listing.
_LIKE_A_NAME = re.compile(
    rf"(?<![A-Za-z0-9_-]){LIKE_A_BEGINNING}"
    rf"|_{TIME}(?![0-9Z])"
    rf"|[A-Z0-9_](?:{'|'.join(map(re.escape, DIRECTORY_EXTENSIONS))})(?![A-Z0-9])",
    re.IGNORECASE,
)


class NotAName(ValueError):
    """A word that cannot be a product's name; `why` is the predicate of a sentence about it, without a quote."""

    def __init__(self, word: str, why: str) -> None:
        super().__init__(f"{word!r} {why}" if word else why)
        self.why = why


def quotable(text: str) -> str:
    """Return the first part of a text that looks like the beginning of a product's name; '' if no part does."""
    found = _BEGINNING.search(text)
    return found[0][:QUOTED_CHARACTERS_MAX] if found else ""


def holds_like_a_name(text: str) -> bool:
    """Tell whether a part of a text looks like a product's name, even a misspelt one."""
    return _LIKE_A_NAME.search(text) is not None
