"""Queries for all rows that meet at least one of many conditions, in as few GETs as the URL length allows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cdsed.catalogue.odata_client import ODataClient
from cdsed.errors import ServiceError

URL_CHARACTERS_MAX = 2048
ROWS_MAX = 1000  # the catalogue's own limit of $top


def quoted(text: str) -> str:
    """Return a text as an OData literal."""
    return "'" + text.replace("'", "''") + "'"


def instant(timestamp: datetime) -> str:
    """Return a time in UTC as an OData literal."""
    return f"{timestamp:%Y-%m-%dT%H:%M:%S.%f}Z"


@dataclass(frozen=True, slots=True)
class BatchQuery:
    """Queries one resource of the catalogue for rows that meet at least one of the given conditions.

    Attributes
    ----------
    resource
        ``Products`` or ``DeletedProducts``.
    most
        Conditions in one query at most; fewer where the URL would be longer than 2048 characters.
    within
        A condition that every row has to meet, or empty.
    order
        The ``$orderby`` of the responses, or empty where one page holds all rows.
    expand
        The ``$expand`` of the rows, or empty.
    """

    service: ODataClient
    resource: str
    most: int
    within: str = ""
    order: str = ""
    expand: str = ""

    def pages(self, conditions: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """Send the queries, and yield every page of every response.

        Raises
        ------
        ServiceError
            As the service raises it; ``InvalidResponse`` when the rows need several pages and `order` is empty:
            pages without an order lose and repeat rows.
        """
        for options in self._queries(conditions):
            page = self.service.get(self.resource, options)
            yield page
            while following := page.get("@odata.nextLink"):
                if not self.order:
                    raise ServiceError(f"{self.service.url}: more rows than were asked for", code="InvalidResponse")
                page = self.service.get(str(following))
                yield page

    def _queries(self, conditions: Sequence[str]) -> Iterator[dict[str, str]]:
        first, count = 0, 0
        for number in range(1, len(conditions) + 1):
            count += 1
            full = number == len(conditions) or count == self.most
            if full or self._length(conditions[first : number + 1]) > URL_CHARACTERS_MAX:
                yield self._options(conditions[first:number])
                first, count = number, 0

    def _length(self, conditions: Sequence[str]) -> int:
        return len(self.service.address(self.resource, self._options(conditions)))

    def _options(self, conditions: Sequence[str]) -> dict[str, str]:
        wanted = " or ".join(conditions)
        options = {"$filter": f"{self.within} and ({wanted})" if self.within else wanted}
        if self.order:
            options["$orderby"] = self.order
        if self.expand:
            options["$expand"] = self.expand
        return options | {"$top": str(ROWS_MAX)}
