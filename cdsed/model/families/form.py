"""The form of product names: their parts, and which of them a name breaks. It does not depend on a mission."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise

TIME = r"[0-9]{8}T[0-9]{6}"
A_TIME = "a date and time such as 20240604T110100"
_TIME = re.compile(TIME).fullmatch
_TIME_LENGTH = len("20240604T110100")


@dataclass(frozen=True, slots=True, kw_only=True)
class NameFields:
    """The fields of a name.

    Attributes
    ----------
    unit
        ``S1A``, ``S5P``, ``S3_`` (a product of both units), or empty.
    start, stop
        Sensing time, UTC. Sentinel-2 names have no stop.
    mode
        ``IW`` … ``S6`` (S1), ``MSI`` (S2), ``OL`` … (S3), ``OFFL`` … (S5P), ``P4`` … (S6).
    product_type
        As in eodata: ``IW_GRDH_1S``, ``MSIL1C``, ``SL_2_LST___``, ``L2__NO2___``, ``P4_2__LR_____``.
    level
        ``L0`` to ``L3``, ``LA`` (ETAD), ``L1C``, ``L2A``; or empty.
    fields
        The fields of the form by name: ``orbit``, ``polarisation``, ``tile``, ``baseline``, ``cog`` …
    """

    unit: str = ""
    start: datetime | None = None
    stop: datetime | None = None
    mode: str = ""
    product_type: str = ""
    level: str = ""
    fields: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def duration_s(self) -> float:
        """Seconds of sensing; 0 if the name has no stop."""
        return (self.stop - self.start).total_seconds() if self.start and self.stop else 0


@dataclass(frozen=True)
class Part:
    """One part of a name, between underscores: its title, its pattern, and a text that says what it should be."""

    called: str
    pattern: str
    should_be: str

    @property
    def group(self) -> str:
        """The pattern as a named group."""
        return f"(?P<{self.called.replace(' ', '_')}>{self.pattern})"


START = Part("start", TIME, A_TIME)
STOP = Part("stop", TIME, A_TIME)
CREATION = Part("creation", TIME, A_TIME)


@dataclass(frozen=True)
class NameForm:
    """The form of a mission's names: parts joined by ``_``, then an optional tail and the extension.

    Attributes
    ----------
    extension
        With its dot.
    mode, product_type
        Their positions in a name.
    parts
        In their order; one is called ``unit`` and one ``start``.
    tail
        Pattern of the text that may follow the last part.
    """

    extension: str
    mode: slice
    product_type: slice
    parts: tuple[Part, ...]
    tail: str = ""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        body = "_".join(part.group for part in self.parts)
        return re.compile(f"{body}{self.tail}{re.escape(self.extension)}")

    @property
    def field_names(self) -> tuple[str, ...]:
        """The names of `NameFields.fields`, in their order in a name."""
        return tuple(self._pattern.groupindex)

    def read(self, name: str) -> NameFields | None:
        """Return the fields of a name; None when it breaks the form or one of its times is not a date."""
        found = self._pattern.fullmatch(name)
        times = _times(found) if found else None
        if found is None or times is None:
            return None
        fields = {key: value for key, value in found.groupdict().items() if value is not None}
        level = fields.get("level", "").strip("_")
        return NameFields(
            unit=fields["unit"],
            start=times[0],
            stop=times[1] if "stop" in fields else None,
            mode=name[self.mode],
            product_type=name[self.product_type],
            level=level if level.startswith("L") or not level else f"L{level}",
            fields=fields,
        )

    def misfit(self, name: str) -> str | None:
        """Return which part of a name breaks the form; None if the name has the form."""
        stem, dot, extension = name.rpartition(".")
        if dot + extension != self.extension:
            return f"extension {dot + extension!r} should be {self.extension!r}"
        at = 0
        for part, following in pairwise(self.parts):
            found = re.compile(f"{part.pattern}(?=_|$)").match(stem, at)
            if not found:
                return _complaint(part, stem[at:])
            at = found.end() + 1
            if at > len(stem):
                return _complaint(following, "")
        if not re.fullmatch(self.parts[-1].pattern + self.tail, stem[at:]):
            return _complaint(self.parts[-1], stem[at:])
        return None if self.read(name) else "one of its times is not a date"


def read_time(text: str) -> datetime:
    """Return a time of a name as UTC; 60 seconds are those of the next minute, as in some real names.

    Raises
    ------
    ValueError, OverflowError
        It is not a date.
    """
    if text.endswith("60"):
        return read_time(f"{text[:-2]}00") + timedelta(minutes=1)
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def beginning(first: str, *others: str) -> str:
    """Return the pattern of the first parts of a name; all but the first part may be absent."""
    return f"(?:{first})" + (f"_(?:{beginning(*others)})?" if others else "")


def _complaint(part: Part, rest: str) -> str:
    found = rest.partition("_")[0]
    return (
        f"{part.called} {found!r} should be {part.should_be}"
        if rest
        else f"{part.called} is missing; it should be {part.should_be}"
    )


def _times(found: re.Match[str]) -> list[datetime] | None:
    """Return every time in a name, in order; None if one is not a date."""
    try:
        return [read_time(text) for text in found.groups() if text and len(text) == _TIME_LENGTH and _TIME(text)]
    except (ValueError, OverflowError):
        return None
