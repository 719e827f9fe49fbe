"""Listings of lines: bare names, columns, CSV with a header, and what tools print for a directory."""

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import BinaryIO

from cdsed.errors import InboxError
from cdsed.frozen import frozen
from cdsed.inbox.formats import directory_lines
from cdsed.inbox.formats.records import Record, is_known, judge, judge_name, key_of, only_ids, record_of
from cdsed.inbox.formats.words import AROUND, Certainty, certainty_of, id_of, is_in_normal_form, is_path, is_plain
from cdsed.inbox.source import PhysicalLine, physical_lines
from cdsed.model.families.other import ANY_NAME
from cdsed.model.listing import Ignored, ListingLine, Named, Rejected
from cdsed.model.quoting import holds_like_a_name, quotable

_DELIMITERS = ",;\t|"
_BLANK = " "  # between the columns of printed tables, whose rows are read by their content
_DELIMITER = re.compile(f"[{_DELIMITERS}]")
_SEPARATOR = re.compile(r"sep=(.)", re.IGNORECASE)  # by which spreadsheets name the delimiter
_HEADER_WORD = re.compile(r"[A-Za-z_@][A-Za-z0-9_@:./ ()?#%-]{0,60}")
_HEADER_ALONE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,40}")
_LOOKED_AHEAD = 1000  # lines after the first, to tell whether that is a header


def read_rows(file: BinaryIO, bucket: str) -> Iterator[ListingLine]:
    """Read a listing of lines; every physical line becomes an item, one with several products an item for each.

    Raises
    ------
    InboxError
        There is a header, but no column of it names products.
    """
    lines = _Lookahead(physical_lines(file))
    table: _Table | None = None
    is_first, separator, header = True, "", ""
    for line in lines:
        if not is_first and table is None and not line.problem and is_in_normal_form(line.text):
            yield Named(line.number, line.text)  # most listings have a million of these
            continue
        text = _content(line)
        if line.problem:
            yield Rejected(line.number, "", line.problem)
        elif table is None and not is_first and _is_bare(text):
            yield judge_name(line.number, text)
        elif not text or (is_first and directory_lines.is_summary(text)):
            yield Ignored(line.number)
        elif is_first and (found := _SEPARATOR.fullmatch(text)):
            separator = found[1]
            yield Ignored(line.number)
        elif is_first and (begun := _Table.of(text, lines.next_content(), separator)):
            is_first, table, header = False, begun.with_columns, text
            yield Ignored(line.number)
        else:
            is_first = False
            products = _products(line.number, text, table, bucket)
            if isinstance(products[0], Rejected):
                begun = _Table.later(text)
                table = begun or table
                if begun or text == header or directory_lines.is_summary(text):
                    products = [Ignored(line.number)]
            yield from products


def _products(number: int, text: str, table: "_Table | None", bucket: str) -> Sequence[ListingLine]:
    if table is None and not _DELIMITER.search(text) and directory_lines.names_several(text):
        reason = "holds ' ' between two products; write each on a line of its own"
        return [Rejected(number, quotable(text), reason, len(text))]
    return judge(number, table.record(text) if table else _by_content(text), text, bucket)


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


@frozen
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
        best = cls.best(text, separator)
        if best is None:
            return None
        if best.known:
            if only_ids(best.keys) and not best.leads_to_products(following):
                raise InboxError("its header has no column safename, Name or S3Path")
            return best
        return best if best.is_plausible() and best.leads_to_products(following) else None

    @classmethod
    def later(cls, text: str) -> "_Table | None":
        """Read a line as the header of a table below a title or another table; None if it is not surely one."""
        best = None if holds_like_a_name(text) else cls.best(text)
        return best if best and best.known > 1 and not only_ids(best.keys) else None

    @classmethod
    def best(cls, text: str, separator: str = "") -> "_Table | None":
        """Split a line by the delimiter that gives the most known headers; None if a field is a product."""
        delimiters = separator or (_DELIMITERS if any(each in text for each in _DELIMITERS) else _BLANK)
        readings = [cls.by(each, text) for each in delimiters]
        best = max(readings, key=lambda reading: (reading.known, len(reading.headers)))
        like_a_name = best.delimiter == _BLANK and len(best.headers) > 1 and holds_like_a_name(text)
        return None if like_a_name or any(_is_of_a_product(field) for field in best.headers) else best

    @property
    def with_columns(self) -> "_Table | None":
        """The table, if its rows have columns that can be distinguished; else they are read without it."""
        return self if len(self.headers) > 1 and self.delimiter != _BLANK else None

    @property
    def known(self) -> int:
        """How many of the headers are known."""
        return sum(map(is_known, self.keys))

    def is_plausible(self) -> bool:
        """Tell whether the words can be headers that are not known here."""
        if self.delimiter == _BLANK or len(self.headers) == 1:
            return len(self.headers) == 1 and _HEADER_ALONE.fullmatch(self.headers[0]) is not None
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


def _is_bare(text: str) -> bool:
    return is_plain(text) and ANY_NAME.match(text) is not None


def _by_content(text: str) -> Record:
    """Recognise the fields of a line without a header by their form."""
    fields = [field.strip(AROUND) for field in _DELIMITER.split(text)]
    if len(fields) == 1:
        return directory_lines.record(text) or record_of([("", fields[0])])
    return record_of(("", field) for field in fields)
