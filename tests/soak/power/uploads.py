"""How listings come into the inbox: moved by careful people, or uploaded by programs that sync nothing.

A program whose connection breaks uploads again. So an upload that a cut has cut short, or whose bytes the disk has
lost, is made again before the next start, unless the daemon has taken the listing. Then cdsed has to have all of it.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.soak.power.computer import Computer
from tests.support.judge import Judge, Whereabouts

#: How it comes, and how often: moved and synced; written under another name and renamed; written in place.
_WAYS = {"moved": 4, "renamed": 2, "in place": 2, "long, in place": 1, "long, renamed": 1}
_LONG_LINES = 4000


@dataclass(frozen=True)
class _Upload:
    """A listing as it should be in the inbox."""

    name: str
    content: bytes
    way: str


class Uploads:
    """The listings of one computer."""

    def __init__(self, computer: Computer, judge: Judge) -> None:
        self._computer = computer
        self._judge = judge
        self._uploads: dict[str, _Upload] = {}

    def begin(self, name: str, products: Sequence[str], dice: random.Random, *, way: str | None = None) -> None:
        """Bring a listing in, by chance or as `way` says; programs that upload are still at it afterwards."""
        [by_chance] = dice.choices(list(_WAYS), list(_WAYS.values()))
        way = way or by_chance
        lines = _long(products, dice) if way.startswith("long") else list(products)
        upload = _Upload(name, "".join(f"{line}\n" for line in lines).encode(), way)
        self._uploads[name] = upload
        self._judge.expect(name, upload.content, products)
        if way == "moved":
            self._computer.drop(name, upload.content)
        else:
            self._computer.upload(name, upload.content, within_s=dice.uniform(0, 1.2), as_part=way.endswith("renamed"))

    def ended(self) -> bool:
        """Tell whether no program uploads any more."""
        return self._computer.uploading() == 0

    def again(self) -> int:
        """Repeat what a cut has cut short or lost; return how many that were."""
        lost = [
            name
            for name, where in self._judge.whereabouts.items()
            if where in (Whereabouts.NOWHERE, Whereabouts.DAMAGED_IN_INBOX)
        ]
        for name in lost:
            for path in (self._computer.lab.inbox / name, self._computer.lab.inbox / f"{name}.part"):
                path.unlink(missing_ok=True)
            self._computer.drop(name, self._uploads[name].content)
        return len(lost)


def ways() -> list[str]:
    """Return the ways in which programs upload."""
    return [way for way in _WAYS if way != "moved"]


def _long(products: Sequence[str], dice: random.Random) -> list[str]:
    """Return thousands of lines that name few products, so that all of them arrive in time."""
    lines = [f"# {number} of a long list" for number in range(_LONG_LINES - len(products))]
    for product in products:
        lines.insert(dice.randrange(len(lines)), product)
    return [*lines, *dice.choices(products, k=20)]
