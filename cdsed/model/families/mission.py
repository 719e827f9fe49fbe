"""What the rest of cdsed needs to know of a mission."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cdsed.model.families.form import NameFields, NameForm

#: Layout of an archive, after cdsodatacli's ``WhichArchiveDir``.
BY_DATE = "{satellite}/{level}/{mode}/{unit}_{product_type}/{year}/{doy}"


def _no_folder(_name: NameFields, _start: datetime) -> str | None:
    return None


def _never(_name: NameFields) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class Mission:
    """Everything that depends on the mission; each has one value of this, in a file of its own.

    Attributes
    ----------
    form
        Form of its names; None if they have no common form.
    beginning
        Pattern of the beginning of a name, as far as it may be quoted from a dropped file.
    is_directory
        Whether a product is a directory. Such a product comes as a zip from the download service.
    manifest
        Name of the manifest at the root of a product; None if it has no manifest.
    factory
        Pattern of the factory's directory in which a product was made, for manifests that name files by their path
        there. Its groups are fields of the name, perhaps with dots. None: no manifest does so.
    digests
        Digests that a manifest or an ETag may state, as `hashlib` names.
    eodata_folder
        Maps a name and its sensing start to the folder in the bucket, above the date; None if it cannot be derived.
    eodata_bare
        Whether the catalogue's name of a product, and so its folder in the bucket, has no extension.
    archive_layout
        Template of the directory below the root of an archive; None if cdsed has no built-in one.
    archive_modes
        Names of modes that differ in an archive.
    collection
        Its name in the catalogue, e.g. ``SENTINEL-1``; empty if it has none.
    versions
        Templates of the beginning of a name, and of a later part (or empty), that the versions of one product share,
        which were made by other baselines of the processor; None if names do not show it.
    datatake
        Template of the part of a name that all products of one datatake share; empty if names do not show it.
    observation
        Fields of a name that the products of one observation share, whatever their type.
    types
        Product types of one observation, as in names: the choices of ``cdsed match --to``.
    polarisations
        Maps the code in names to the words of the catalogue.
    daily_modes
        Sensor modes whose products are in the files of ``cdsed metadata --daily``; empty: it has no such files.
    sensor
        cdsodatacli's word for the instrument; None if the name has it.
    explode
        Maps a name to the attributes of cdsodatacli's ``ExplodeSAFE``; None for a mission it did not know.
    """

    form: NameForm | None = None
    beginning: str
    is_directory: bool
    manifest: str | None = None
    factory: re.Pattern[str] | None = None
    digests: frozenset[str] = frozenset({"md5"})
    eodata_folder: Callable[[NameFields, datetime], str | None] = _no_folder
    eodata_bare: Callable[[NameFields], bool] = _never
    archive_layout: str | None = None
    archive_modes: Mapping[str, str] = field(default_factory=dict)
    collection: str = ""
    versions: tuple[str, str] | None = None
    datatake: str = ""
    observation: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    polarisations: Mapping[str, str] = field(default_factory=dict)
    daily_modes: frozenset[str] = frozenset()
    sensor: str | None = None
    explode: Callable[[NameFields], dict[str, Any]] | None = None

    def is_factory(self, directory: str, name: NameFields | None) -> bool:
        """Tell whether a directory is that of the factory in which a product was made; None: any product."""
        found = self.factory.fullmatch(directory) if self.factory else None
        if found is None or name is None:
            return found is not None
        return all(name.fields.get(each) == text.replace(".", "") for each, text in found.groupdict().items())
