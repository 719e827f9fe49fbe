"""Lines that tools print for a directory: ``aws s3 ls``, ``s5cmd ls``, ``rclone lsd``, ``ls -l``, ``md5sum``.

Such a line has one name, and beside it dates, sizes, digests and short words, separated by blanks.
"""

import re

from cdsed.inbox.formats.records import Record, record_of
from cdsed.inbox.formats.words import AROUND, Certainty, certainty_of, id_of, is_absent, is_path, name_of

_SUMMARY = re.compile(
    r"total\s+[0-9][0-9.,]*[KMGTP]?|Total (Objects|Size):.*"
    r"|\([0-9]+ rows?\)|\[[0-9]+ rows x [0-9]+ columns\]"
    r"|[\[\](){}],?"  # a bracket of a list
)
_RULE = re.compile(r"[-+=:|\s\u2500-\u257f]+")
_IN_RULES = ("---", "===", "\u2500\u2500\u2500", "\u2550\u2550\u2550")
_PERMISSIONS = re.compile(r"[bcdlps-][rwxsStT-]{9}[.+@]?")
_FIELDS_BEFORE_NAME = 8  # of `ls -l`: permissions, links, user, group, size, and three of the date
_BESIDE = re.compile(
    r"PRE|DIR|STANDARD|GLACIER|DEEP_ARCHIVE"
    r"|\*?[-+]?[0-9][0-9.,]*[KMGTPE]?(i?B)?"  # a number or a size
    r"|\[?[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}([T_][0-9:.]+)?Z?"  # a date
    r"|[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?Z?|(UTC|GMT|[A-Z]{3,4})\]"  # a time and its zone
    r"|[0-9a-f]{32,128}"  # a digest
    r"|[├└│─]+"
)


def is_summary(text: str) -> bool:
    """Tell whether a line holds no product by its form: a sum below a directory, a rule of a table, a bracket."""
    if _RULE.fullmatch(text) and any(each in text for each in _IN_RULES):
        return True
    return _SUMMARY.fullmatch(text.strip()) is not None


def record(text: str) -> Record | None:
    """Read a line of a directory; None if it has other words than such lines have."""
    words = [word.lstrip("*") for word in _words(text)]
    if len(words) > _FIELDS_BEFORE_NAME and _PERMISSIONS.fullmatch(words[0]):
        words = [" ".join(words[_FIELDS_BEFORE_NAME:]).partition(" -> ")[0]]
    elif len(words) < 2:
        return None
    named = [word for word in words if not (_BESIDE.fullmatch(word) or is_absent(word))]
    if not named or not all(_is_of_a_product(word) for word in named):
        return None
    return record_of(("", word) for word in named)


def names_several(text: str) -> bool:
    """Tell whether a line that is separated by blanks alone names several products."""
    words = _words(text)
    if len(words) < 2:
        return False
    return len({name_of(word)[0] for word in words if certainty_of(word) > Certainty.LIKE_ONE}) > 1


def _words(text: str) -> list[str]:
    return [word.strip(AROUND) for word in re.split(r"[ \t]+", text.strip())]


def _is_of_a_product(word: str) -> bool:
    return certainty_of(word) is not Certainty.NOT or id_of(word) is not None or is_path(word)
