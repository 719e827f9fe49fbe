"""Which files of a product a listing wants: patterns of the paths inside of the product.

A pattern without ``/`` is compared with each name on the path: ``*-vv-*``, ``QI_DATA``. One with ``/`` is compared with
the whole path, and its ``*`` stands for any characters, ``/`` too: ``preview/*``. A pattern that fits a directory fits
all below it. Capitals and small letters are the same.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Self

from cdsed.frozen import frozen

_PATTERNS_MAX = 100
_CHARACTERS_MAX = 500


def checked_pattern(pattern: str) -> str:
    """Return a pattern in its plain form.

    The errors do not repeat it: a file that is not a listing may have secrets in its first line.

    Raises
    ------
    ValueError
        It is empty, leads out of the product, or has a comma, which separates patterns.
    """
    plain = pattern.strip().removeprefix("./").rstrip("/")
    if pattern.strip().startswith("/"):
        raise ValueError("a pattern must be a path inside of the product: leave out the first /")
    if not plain or not plain.isprintable() or len(plain) > _CHARACTERS_MAX or "," in plain:
        raise ValueError("a pattern must be one of paths, such as *-vv-*, and without a comma")
    if ".." in plain.split("/"):
        raise ValueError("a pattern must not lead out of the product: leave out '..'")
    return plain


@dataclass(frozen=True, slots=True, order=True)
class Patterns:
    """What one listing wants: files that fit one of `include` (none: all files), and none of `exclude`."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = [("include", self.include), ("exclude", self.exclude)]
        return " ".join(f"{name}={','.join(patterns)}" for name, patterns in words if patterns)

    def take(self, path: str) -> bool:
        """Tell whether a file is wanted, by its path inside of the product."""
        wanted = not self.include or any(_fits(pattern, path) for pattern in self.include)
        return wanted and not any(_fits(pattern, path) for pattern in self.exclude)


@frozen
class Choice:
    """The files that one or several listings want of a product: those of each.

    No choice, None, is the whole product.
    """

    alternatives: tuple[Patterns, ...]

    @classmethod
    def of(cls, include: Iterable[str], exclude: Iterable[str]) -> Self | None:
        """Return the choice of one listing; None if it wants the whole product.

        Raises
        ------
        ValueError
            A pattern is not valid, or there are more than a hundred.
        """
        wanted = tuple(sorted({checked_pattern(each) for each in include}))
        unwanted = tuple(sorted({checked_pattern(each) for each in exclude}))
        if len(wanted) + len(unwanted) > _PATTERNS_MAX:
            raise ValueError(f"there may be {_PATTERNS_MAX} patterns")
        if "*" in wanted:
            wanted = ()
        return cls((Patterns(wanted, unwanted),)) if wanted or unwanted else None

    @classmethod
    def from_json(cls, text: str | None) -> Self | None:
        """Return a choice from its text in the state, or in a marker.

        Raises
        ------
        ValueError, KeyError, TypeError
            The text is not one.
        """
        if text is None:
            return None
        found = [Patterns(tuple(each["include"]), tuple(each["exclude"])) for each in json.loads(text)]
        if not found or not all(isinstance(each, str) for one in found for each in (*one.include, *one.exclude)):
            raise ValueError("it is not a choice of files")
        return cls(tuple(found))

    def to_json(self) -> str:
        """Return a text that is the same for equal choices."""
        return json.dumps([{"include": each.include, "exclude": each.exclude} for each in self.alternatives])

    def __str__(self) -> str:
        return " or ".join(map(str, self.alternatives))

    def wants(self, path: str) -> bool:
        """Tell whether a file fits the patterns."""
        return any(each.take(path) for each in self.alternatives)


def union(one: Choice | None, other: Choice | None) -> Choice | None:
    """Return the choice that takes what either takes; None, the whole product, if one of them is that."""
    if one is None or other is None:
        return None
    return Choice(tuple(sorted({*one.alternatives, *other.alternatives})))


def _fits(pattern: str, path: str) -> bool:
    compare = _compiled(pattern)
    if "/" in pattern:
        return any(compare(path[:end]) for end in (*(found.start() for found in re.finditer("/", path)), len(path)))
    return any(compare(name) for name in path.split("/"))


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(translate(pattern), re.IGNORECASE).match
