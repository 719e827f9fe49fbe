"""The queries of the SQL files beside this module, by name.

A query begins with a line ``-- name: some_name``. Its text ends before the next such line.
"""

import re
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).with_name("sql")  # importlib.resources would cost `cdsed status` 6 ms
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


class Queries:
    """The queries of one ``.sql`` file, as attributes; an unknown name raises AttributeError.

    Parameters
    ----------
    subject
        The file's stem, e.g. ``products`` for ``sql/products.sql``.
    """

    def __init__(self, subject: str) -> None:
        text = (_FOLDER / f"{subject}.sql").read_text(encoding="utf-8")
        parts = _NAME.split(text)
        self._texts = dict(zip(parts[1::2], parts[2::2], strict=True))
        self._subject = subject

    def __getattr__(self, name: str) -> str:
        try:
            return self._texts[name]
        except KeyError:
            raise AttributeError(f"sql/{self._subject}.sql has no query named {name}") from None


def whole_schema() -> str:
    """Return what all migrations together make, for a new state: they would take five times as long."""
    return (_FOLDER / "schema.sql").read_text(encoding="utf-8")


@cache
def migrations() -> tuple[str, ...]:
    """Return the texts of all migrations; number n of them leads to ``user_version`` n."""
    return tuple(script.read_text(encoding="utf-8") for script in sorted((_FOLDER / "migrations").glob("*.sql")))
