"""Publishing: a verified product appears under its final name in one rename, and stays there.

Order: files are on the disk already (fetching saw to it), then directories, then the rename, then both
parents; only after that does the caller commit ``done``.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cdsed.transfer.staging import discard, make_lasting, staged_sizes, sync_directory
from cdsed.transfer.translate import disk_error


@dataclass(frozen=True, slots=True)
class Published:
    """Where a product lies now, and what stood in its place before, set aside."""

    path: Path
    set_aside: Path | None = None


def final_path(destination: Path, staging: Path, *, single: str | None) -> Path:
    """Return the name a product appears under: its own, or that of its one object."""
    return destination / (single or staging.name)


def is_published(final: Path, sizes: Mapping[str, int], *, single: bool) -> bool:
    """Tell whether exactly these files (sizes in bytes by path) already lie under the final name."""
    if single:
        return final.is_file() and final.stat().st_size == next(iter(sizes.values()))
    return final.is_dir() and staged_sizes(final) == dict(sizes)


def publish(staging: Path, destination: Path, *, single: str | None) -> Published:
    """Let a staged product appear under its final name.

    Parameters
    ----------
    staging
        Its directory, verified.
    destination
        The directory it shall appear in; made when absent.
    single
        For a product that is one object: the name of that file, which is published instead of the directory.

    Returns
    -------
    Published
        What stood there before and was not this product (an incomplete copy, say) is set aside, not lost.

    Raises
    ------
    DiskError
        The disk is full, read-only, or gone.
    """
    final = final_path(destination, staging, single=single)
    source = staging / single if single else staging
    try:
        make_lasting(destination)
        _sync_tree(staging)
        if source.stat().st_dev != destination.stat().st_dev:
            source = _bring_near(source, destination)
        set_aside = _set_aside(final, staging.parent)
        source.rename(final)
        sync_directory(destination)
        sync_directory(source.parent)
        if staging.exists():
            shutil.rmtree(staging)
    except OSError as error:
        raise disk_error(str(final), error) from error
    return Published(final, set_aside)


def complete(final: Path, staging: Path) -> None:
    """Do what is left of publishing when a crash, or a sick disk, came between the rename and its end.

    Raises
    ------
    DiskError
        The disk is still sick.
    """
    try:
        sync_directory(final.parent)
        if staging.parent.is_dir():
            sync_directory(staging.parent)
    except OSError as error:
        raise disk_error(str(final), error) from error
    discard(staging)


def _bring_near(source: Path, destination: Path) -> Path:
    """Copy a product to a hidden sibling of its final name, on the destination's own file system."""
    near = destination / ".cdsed" / f"{source.name}.copy"
    near.parent.mkdir(mode=0o700, exist_ok=True)
    if near.is_dir():
        shutil.rmtree(near)
    if source.is_dir():
        for folder, _, names in os.walk(source):
            place = near / Path(folder).relative_to(source)
            place.mkdir()
            for name in names:
                _copy_file(Path(folder, name), place / name)
        _sync_tree(near)
    else:
        _copy_file(source, near)
    return near


def _copy_file(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    _sync_file(target)


def _set_aside(final: Path, staging_root: Path) -> Path | None:
    """Move away what stands under the final name; it is not the product, or it would have been found present."""
    if not os.path.lexists(final):
        return None
    root = staging_root if staging_root.stat().st_dev == final.parent.stat().st_dev else final.parent / ".cdsed"
    folder = root / "replaced"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = 1
    while os.path.lexists(aside := folder / f"{final.name}.{number}"):
        number += 1
    final.rename(aside)
    return aside


def _sync_tree(top: Path) -> None:
    for folder, _, _ in os.walk(top, topdown=False):
        sync_directory(Path(folder))


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
