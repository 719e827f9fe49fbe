"""Listings of lines: bare names, columns, CSV with a header, and what tools print for a directory."""

import csv
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from cdsed.errors import InboxError
from cdsed.inbox.formats import directory_lines
from cdsed.inbox.formats.records import Record, is_known, judge, key_of, only_ids, record_of
from cdsed.inbox.formats.words import Certainty, certainty_of, id_of, is_path, is_plain
from cdsed.inbox.source import PhysicalLine, physical_lines
from cdsed.model.families.other import ANY_NAME
from cdsed.model.listing import Ignored, ListingLine, Rejected
from cdsed.model.quoting import quotable

_DELIMITERS = ",;\t"
_SEPARATOR = re.compile(r"sep=(.)", re.IGNORECASE)  # by which spreadsheets name the delimiter
_AROUND = " '\"[]()"
_HEADER_WORD = re.compile(r"[A-Za-z_@][A-Za-z0-9_@:./ ()?#%-]{0,60}")
_HEADER_ALONE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,40}")
_LOOKED_AHEAD = 1000  # lines after the first, to tell whether that is a header


def read_rows(file: BinaryIO) -> Iterator[ListingLine]:
    """Read a listing of lines; every physical line becomes an item, one with several products an item for each.

    Raises
    ------
    InboxError
        There is a header, but no column of it names products.
    """
    lines = _Lookahead(physical_lines(file))
    table: _Table | None = None
    is_first, separator = True, ""
    for line in lines:
        text = _content(line)
        if line.problem:
            yield Rejected(line.number, "", line.problem)
        elif not text or directory_lines.is_summary(text):
            yield Ignored(line.number)
        elif is_first and (found := _SEPARATOR.fullmatch(text)):
            separator = found[1]
            yield Ignored(line.number)
        elif is_first:
            is_first = False
            table = _Table.of(text, lines.next_content(), separator)
            if table:
                yield Ignored(line.number)
            else:
                yield from _products(line.number, text, None)
        else:
            yield from _products(line.number, text, table)


def _products(number: int, text: str, table: "_Table | None") -> Iterator[ListingLine]:
    if table is None and directory_lines.names_several(text):
        reason = "holds ' ' between two products; write each on a line of its own"
        yield Rejected(number, quotable(text), reason, len(text))
        return
    yield from judge(number, table.record(text) if table else _by_content(text), text)


class _Lookahead:
    """The lines of a file, with a look at those ahead."""

    def __init__(self, lines: Iterator[PhysicalLine]) -> None:
        self._lines = lines
        self._ahead: deque[PhysicalLine] = deque()

    def __iter__(self) -> Iterator[PhysicalLine]:
        while True:
            line = self._ahead.popleft() if self._ahead else next(self._lines, None)
            if line is None:
                return
            yield line

    def next_content(self) -> str:
        """Return the next line that is neither blank nor a comment, if it is near; else ''."""
        for line in islice(self._lines, _LOOKED_AHEAD):
            self._ahead.append(line)
            if text := _content(line):
                return text
        return ""


def _content(line: PhysicalLine) -> str:
    """Return the text of a line; '' for a blank one and a comment."""
    text = line.text.strip(" \x1a")  # not tabs: they may delimit an empty field; Ctrl-Z ends DOS files
    return "" if not text.strip() or text.startswith("#") else text


@dataclass(frozen=True, slots=True)
class _Table:
    """The first line of a table: its delimiter, and the headers of its columns."""

    delimiter: str
    headers: tuple[str, ...]
    keys: tuple[str, ...]

    @classmethod
    def by(cls, delimiter: str, text: str) -> "_Table":
        """Split the first line."""
        headers = tuple(_fields(text, delimiter))
        return cls(delimiter, headers, tuple(key_of(header) or _NO_HEADER for header in headers))

    @classmethod
    def of(cls, text: str, following: str, separator: str) -> "_Table | None":
        """Read the first line as a header; None if it is not one.

        Parameters
        ----------
        following
            The next line with content: it shows whether the first, if its words are not known, is a header.
        separator
            The delimiter, if the file names it.
        """
        readings = [cls.by(each, text) for each in separator or _DELIMITERS]
        best = max(readings, key=lambda reading: (reading.known, len(reading.headers)))
        if any(_is_of_a_product(field) for field in best.headers):
            return None
        if best.known:
            if only_ids(best.keys) and not best.leads_to_products(following):
                raise InboxError("its header has no column safename, Name or S3Path")
            return best
        return best if best.is_plausible() and best.leads_to_products(following) else None

    @property
    def known(self) -> int:
        """How many of the headers are known."""
        return sum(map(is_known, self.keys))

    def is_plausible(self) -> bool:
        """Tell whether the words can be headers that are not known here."""
        if len(self.headers) == 1:
            return _HEADER_ALONE.fullmatch(self.headers[0]) is not None
        words = [header for header in self.headers if header]
        numbered = [str(number) for number in range(len(words))]  # by pandas
        return bool(words) and (words == numbered or all(map(_HEADER_WORD.fullmatch, words)))

    def leads_to_products(self, following: str) -> bool:
        """Tell whether the next line has a product in one of the columns."""
        return any(_is_of_a_product(field) for field in _fields(following, self.delimiter))

    def record(self, text: str) -> Record:
        """Choose the words about products in a row."""
        fields = _fields(text, self.delimiter)
        beyond = len(fields) - len(self.keys)
        return record_of(zip(self.keys + (_NO_HEADER,) * beyond, fields, strict=False))


_NO_HEADER = "unnamed"


def _is_of_a_product(field: str) -> bool:
    return certainty_of(field) > Certainty.LIKE_ONE or id_of(field) is not None or is_path(field)


def _fields(text: str, delimiter: str) -> list[str]:
    """Split a line; a field in double quotes may hold the delimiter, as polygons do."""
    row = next(csv.reader([text], delimiter=delimiter)) if '"' in text else text.split(delimiter)
    return [field.strip(" '\"") for field in row]


def _by_content(text: str) -> Record:
    """Recognise the fields of a line without a header by their form."""
    if is_plain(text) and ANY_NAME.match(text):
        return Record(names=(text,))  # most listings have a million of these, so nothing else is tried
    fields = [field.strip(_AROUND) for field in re.split(f"[{_DELIMITERS}]", text)]
    if len(fields) == 1:
        return directory_lines.record(text) or record_of([("", text)])
    return record_of(("", field) for field in fields)
