"""The results of `cdsed.api`: values with a text form for a shell and a table for a notebook."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pandas as pd

    from cdsed.local.intact import Check
    from cdsed.model.catalogue_entry import CatalogueEntry, Facts
    from cdsed.model.product_state import Product
    from cdsed.model.status_report import StatusReport
    from cdsed.view.status_view import StatusView

_SHOWN = 20
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Resolution:
    """The catalogue's facts about products.

    Attributes
    ----------
    found
        The entry of each product that can be downloaded, by the given name or id.
    absent
        For each of the others, in one clause, why it cannot be downloaded.
    """

    found: "Mapping[str, CatalogueEntry]"
    absent: Mapping[str, str]

    @classmethod
    def of(cls, asked: Sequence[str], facts: "Facts") -> "Resolution":
        """Sort the given names and ids into those that can be downloaded and those that cannot."""
        absences = {each: absence.cause for each in asked if (absence := facts.absence(each))}
        return cls({each: entry for each, entry in facts.found.items() if each not in absences}, absences)

    def to_frame(self) -> "pd.DataFrame":
        """Return a table for `download`, with columns id, name, s3_path, size_bytes, online, md5, blake3."""
        import pandas as pd

        rows = [
            (each.product_id, each.name, each.s3_path, each.size_bytes, each.online, each.md5, each.blake3)
            for each in self.found.values()
        ]
        return pd.DataFrame(rows, columns=["id", "name", "s3_path", "size_bytes", "online", "md5", "blake3"])

    def __repr__(self) -> str:
        return "\n".join([self._title(), *(f"  {name}: {cause}" for name, cause in _first(self.absent))])

    def _repr_html_(self) -> str:
        found = _table(("product", "S3 path"), ((name, entry.s3_path) for name, entry in _first(self.found)))
        absent = _table(("product", "why not"), _first(self.absent)) if self.absent else ""
        return f"<p>{escape(self._title())}</p>{found}{absent}"

    def _title(self) -> str:
        return f"{len(self.found)} of {len(self.found) + len(self.absent)} products can be downloaded"


@dataclass(frozen=True)
class Downloads:
    """The results of a download.

    Attributes
    ----------
    table
        Columns ``safename``, ``state`` (``done``, ``already_present``, ``unavailable``, ``failed``, ``corrupt``, …, or
        ``rejected``), ``path`` (None unless it is on disk), ``size_bytes`` (None where unknown) and ``cause`` (None
        when the product is on disk).
    """

    table: "pd.DataFrame"

    @classmethod
    def of(cls, safenames: Sequence[str], results: "Mapping[str, Product]") -> "Downloads":
        """Make the table from the products of the state."""
        import pandas as pd

        from cdsed.model.product_state import SUCCEEDED

        rows: list[tuple[object, ...]] = []
        for safename in safenames:
            product = results.get(safename)
            if product is None:
                rows.append((safename, "rejected", None, None, "the inbox did not accept it"))
                continue
            good = product.state in SUCCEEDED
            path = product.path if good else None
            rows.append((safename, product.state.value, path, product.size_bytes, None if good else product.cause))
        return cls(pd.DataFrame(rows, columns=["safename", "state", "path", "size_bytes", "cause"], dtype=object))

    @property
    def paths(self) -> list[Path]:
        """The paths of the products that are on disk now."""
        return [Path(path) for path in self.table["path"] if path is not None]

    @property
    def ok(self) -> bool:
        """Whether all of them are on disk."""
        return len(self.paths) == len(self.table)

    def __repr__(self) -> str:
        bad = self.table[self.table["path"].isna()].head(_SHOWN)
        lines = (f"  {row.safename}: {row.state}: {row.cause}" for row in bad.itertuples())
        return "\n".join([self._title(), *lines])

    def _repr_html_(self) -> str:
        shown = self.table.head(_SHOWN)
        rows = ((row.safename, row.state, row.path or row.cause) for row in shown.itertuples())
        return f"<p>{escape(self._title())}</p>{_table(('product', 'state', 'path or cause'), rows)}"

    def _title(self) -> str:
        return f"{len(self.paths)} of {len(self.table)} products are on disk"


@dataclass(frozen=True, repr=False)
class Status:
    """The state of the daemon, as ``cdsed status`` shows it; `report` has every number."""

    view: "StatusView"

    @property
    def report(self) -> "StatusReport":
        """The whole status as values."""
        return self.view.report

    def __repr__(self) -> str:
        from cdsed.view import text
        from cdsed.view.terminal import Canvas

        return "\n".join(text.render(self.view, Canvas()))

    def _repr_html_(self) -> str:
        from cdsed.view import as_html

        return as_html.render(self.view)


@dataclass(frozen=True, repr=False)
class Verification:
    """Whether a product on disk agrees with its manifest; it is true when it does."""

    check: "Check"

    @property
    def good(self) -> bool:
        """Whether every file is there, and is the right one."""
        return self.check.good

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each error."""
        return self.check.problems

    def __bool__(self) -> bool:
        return self.good

    @property
    def remarks(self) -> tuple[str, ...]:
        """What differs from the manifest, but does not make the product incomplete."""
        return self.check.remarks

    def __repr__(self) -> str:
        return "\n".join([self._title(), *(f"  {text}" for text in (*self.problems, *self.remarks)[:_SHOWN])])

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(text)}</li>" for text in (*self.problems, *self.remarks)[:_SHOWN])
        return f"<p>{escape(self._title())}</p>{f'<ul>{items}</ul>' if items else ''}"

    def _title(self) -> str:
        verdict = f"{self.check.files} files agree with {self.check.compared_with}" if self.good else "NOT complete"
        return f"{self.check.path.name}: {verdict}"


def _first(values: Mapping[str, _Value]) -> Iterator[tuple[str, _Value]]:
    return islice(iter(values.items()), _SHOWN)


def _table(heads: Sequence[str], rows: Iterator[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(each))}</td>' for each in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
