"""Look for products that are on disk already: in their output directory, a spool, or an archive."""

import logging
import os
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK, Clock
from cdsed.config.settings import Settings
from cdsed.errors import ProductError
from cdsed.frozen import frozen
from cdsed.local.contents import Pulse, no_pulse
from cdsed.local.layouts import noted, places_below
from cdsed.local.partial import is_marked
from cdsed.local.whole import satisfies
from cdsed.model.choice import Choice
from cdsed.model.families import Family
from cdsed.model.families.other import EXTENSIONS_OF_ARCHIVES
from cdsed.model.layout import PARTIAL, ProductLayout, below_archive
from cdsed.model.product_state import Product
from cdsed.model.safename import parse, stem_of
from cdsed.model.single_file import FILE_EXTENSIONS

_log = logging.getLogger(__name__)

_DIRECTORIES_MAX = 512  # directories whose names are held in memory
_BEGINNING_CHARACTERS = 35  # of the names of most missions, to the first time
_LONG_CHARACTERS = _BEGINNING_CHARACTERS + 12  # its forms on disk may lack two extensions, such as .SAFE.zip


@frozen
class Archive:
    """A tree of products by date; `templates` are the layouts that differ from the built-in ones."""

    root: Path
    templates: Mapping[Family, str]


@frozen
class FoundProduct:
    """Where a product is on disk, and whether it was fetched in part."""

    path: Path
    partial: bool


@frozen
class _Listed:
    """How the names of a directory begin: whole names of a million products would take much memory."""

    beginnings: frozenset[str]
    at_boot_s: float


class Presence:
    """Finds products under ``X.SAFE``, ``X.SAFE.zip`` or ``X.zip`` (other extensions likewise).

    They are also found with one more extension, as the service stores some: ``X.TGZ``, ``X.SEN6.tar``.

    Parameters
    ----------
    spools, archives
        The directories to search, in this order. Below spools and output directories, the directories of all layouts
        are searched by which products ever appeared there.
    fresh_s
        How long the names of a directory are cached. A product found in them is confirmed on disk, so old names can
        only miss a product that has just appeared.
    pulse
        Called now and then while a digest is computed.
    layouts
        Layouts of the settings, by which other tools may have put products below the spools.
    """

    def __init__(
        self,
        spools: Sequence[Path],
        archives: Sequence[Archive],
        clock: Clock = SYSTEM_CLOCK,
        fresh_s: float = 30,
        pulse: Pulse = no_pulse,
        layouts: Sequence[ProductLayout] = (),
    ) -> None:
        self._spools = tuple(spools)
        self._tops_of_spools = tuple(map(_top, spools))
        self._tops_of_archives = tuple((_top(each.root), each.templates) for each in archives)
        self._archives = tuple(archives)
        self._clock = clock
        self._fresh_s = fresh_s
        self._pulse = pulse
        self._layouts = tuple(layouts)
        self._listed: OrderedDict[str, _Listed] = OrderedDict()
        self._noted: dict[str, tuple[float | None, tuple[ProductLayout, ...]]] = {}

    def find(
        self, safename: str, outputdir: Path | None = None, below: str = "", choice: Choice | None = None
    ) -> Path | None:
        """Return the path of a complete product, or None; the names of directories are cached.

        Parameters
        ----------
        safename
            The canonical name.
        outputdir
            The listing's own output directory, searched first.
        below
            Where the listing's layout puts the product, relative to it or to the spools.
        choice
            The files that the listing wants: a product that was fetched in part and has them counts, too. None: only a
            complete product counts.
        """
        now_s = self._clock.boot_s()
        directories = (
            directory
            for directory in self._directories(safename, outputdir, below, choice, now_s)
            if not _has_nothing_like(safename, self._beginnings_in(directory, now_s))
        )
        return self._found(safename, directories, choice)

    def surely_absent(
        self, safenames: Collection[str], outputdir: Path | None, choice: Choice | None
    ) -> AbstractSet[str]:
        """Return those products for which `find` would return None, as far as that is quickly known.

        A listing may have a million names, and to look for one takes longer than to enter its product. Where no
        layout and no archive is searched, a product is absent if nothing in its directories begins like it.
        """
        now_s, tops = self._clock.boot_s(), self._tops(outputdir)
        if self._archives or self._layouts or choice is not None or any(self._noted_at(top, now_s) for top in tops):
            return frozenset()
        absent = {name for name in safenames if len(name) >= _LONG_CHARACTERS}
        for beginnings in filter(None, (self._beginnings_in(top, now_s) for top in tops)):
            absent = {name for name in absent if _beginning(name) not in beginnings}
        return absent

    def find_now(
        self, safename: str, outputdir: Path | None = None, below: str = "", choice: Choice | None = None
    ) -> Path | None:
        """Do the same without the cache; call it just before a download."""
        return self._found(safename, self._directories(safename, outputdir, below, choice, None), choice)

    def find_product(self, product: Product, outputdir: Path | None) -> FoundProduct | None:
        """Look for a product of the state as `find_now` does, with all files that its listings want.

        Raises
        ------
        ProductError
            ``NoLayoutField``: its name, which only the catalogue knew, lacks a field of its layout.
        """
        try:
            below = product.below
        except ValueError as error:
            raise ProductError(f"it has no place in its layout: {error}", code="NoLayoutField") from error
        found = self.find_now(product.safename, outputdir, below, Choice.from_json(product.choice))
        return None if found is None else FoundProduct(found, is_marked(found))

    def _found(self, safename: str, directories: Iterable[str], choice: Choice | None) -> Path | None:
        """Return the first whole form of a product in some directories."""
        forms = _forms(safename)
        for place in directories:
            for name in forms:
                # There are two dozen forms of a name, and almost none is there: to ask for each costs least like this.
                if os.access(place + "/" + name, os.F_OK) and satisfies(
                    path := Path(place, name), safename, choice, self._pulse
                ):
                    return path
        return None

    def missing_roots(self) -> list[Path]:
        """Return spools that are missing and archives that are missing or empty: presumably they are not mounted."""
        # Unlike `Path.is_dir`, this returns False for a directory that does not respond.
        spools = [spool for spool in self._spools if not os.path.isdir(spool)]  # noqa: PTH112
        return spools + [archive.root for archive in self._archives if not _beginnings(archive.root)]

    def _directories(
        self, safename: str, outputdir: Path | None, below: str, choice: Choice | None, now_s: float | None
    ) -> Iterator[str]:
        """Yield the directories in which a product may be: first those of complete ones; `now_s` as `_noted_at`."""
        parts: list[str] = []
        parsed = parse(safename)
        for top in self._tops(outputdir):
            known = (*self._noted_at(top, now_s), *self._layouts)
            folders = ("", below, *places_below(parsed, known)) if known or below else ("",)
            for folder in dict.fromkeys(folders):
                yield top + folder
                if choice is not None:
                    parts.append(f"{top}{PARTIAL}/{folder}")
        for top, templates in self._tops_of_archives:
            directory = below_archive(parsed, templates)
            if directory is not None:
                yield top + directory
        yield from parts

    def _tops(self, outputdir: Path | None) -> tuple[str, ...]:
        """Return the output directory and the spools, with a slash at the end."""
        return self._tops_of_spools if outputdir is None else (_top(outputdir), *self._tops_of_spools)

    def _noted_at(self, top: str, now_s: float | None) -> tuple[ProductLayout, ...]:
        """Return the layouts that were noted in a directory; None: without the cache."""
        at_s, known = self._noted.get(top, (None, ()))
        if now_s is None or at_s is None or now_s - at_s >= self._fresh_s:
            known = noted(Path(top))
            if len(self._noted) >= _DIRECTORIES_MAX:
                self._noted.clear()
            self._noted[top] = (self._clock.boot_s(), known)
        return known

    def _beginnings_in(self, directory: str, now_s: float) -> frozenset[str]:
        listed = self._listed.pop(directory, None)
        if listed is None or now_s - listed.at_boot_s >= self._fresh_s:
            del listed  # it may be large, and is not needed beside the new one
            listed = _Listed(_beginnings(directory), now_s)
            if len(self._listed) >= _DIRECTORIES_MAX:
                self._listed.popitem(last=False)
        self._listed[directory] = listed
        return listed.beginnings


def presence_of(settings: Settings, clock: Clock, pulse: Pulse = no_pulse) -> Presence:
    """Return a `Presence` for the spools and archives of the settings."""
    archives = [Archive(each.root, each.layouts) for each in settings.archives]
    known = {group.layout: None for group in settings.groups.values() if group.layout is not None}
    return Presence(settings.spools, archives, clock, pulse=pulse, layouts=tuple(known))


def _top(directory: Path) -> str:
    """Return a directory with a slash at the end: a path is made for each product, and pathlib takes longer."""
    return os.path.join(directory, "")  # noqa: PTH118


def _beginning(name: str) -> str:
    return name[:_BEGINNING_CHARACTERS]


def _has_nothing_like(safename: str, beginnings: AbstractSet[str]) -> bool:
    """Tell whether a directory surely lacks a product in any form, by the beginnings of its names."""
    return len(safename) >= _LONG_CHARACTERS and _beginning(safename) not in beginnings


def _beginnings(directory: Path | str) -> frozenset[str]:
    """Return how the names in a directory begin; none if it cannot be searched."""
    try:
        return frozenset(map(_beginning, os.listdir(directory)))  # noqa: PTH208 - only the names are needed
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError as error:
        _log.warning("%s cannot be searched for products: %s", directory, error.strerror)
        return frozenset()


@lru_cache(maxsize=_DIRECTORIES_MAX)  # a product is looked for several times on its way
def _forms(safename: str) -> tuple[str, ...]:
    stem, mission = stem_of(safename), parse(safename).family.mission
    more = (*EXTENSIONS_OF_ARCHIVES, *(() if mission.form and mission.is_directory else FILE_EXTENSIONS))
    others = (f"{name}{extension}" for extension in more for name in (safename, stem))
    return tuple(dict.fromkeys((safename, *others)))
