"""Former names of taken listings: after a power cut, btrfs may show them again beside the later ones."""

import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from cdsed.dir_handle import sync
from cdsed.inbox.directory import ACCEPTED, REJECTED, TAKING

_Names = dict[tuple[int, int], list[Path]]


def remove_former_names(root: Path) -> list[tuple[Path, Path]]:
    """Remove the names that a listing had earlier on its way from the inbox to ``.accepted/`` or ``.rejected/``.

    A file that has a name elsewhere too is left alone: somebody drops it as a link, perhaps once a day.

    Returns
    -------
    list of tuple
        Each name that was removed, and the last one of the same file.
    """
    ways = [_linked(root), _linked(root / TAKING)]
    if not any(ways):  # nearly always; the others may have many files
        return []
    ways += [_linked(root / ACCEPTED), _linked(root / REJECTED)]
    removed = []
    for number, way in enumerate(ways):
        for identity, paths in way.items():
            later = [path for other in ways[number + 1 :] for path in other.get(identity, ())]
            names = sum(len(other.get(identity, ())) for other in ways)
            for path in paths if later else ():
                with suppress(OSError):  # its owner has just removed it; or intake cannot take it either, and says so
                    if path.lstat().st_nlink == names:
                        path.unlink()
                        sync(path.parent)
                        removed.append((path, later[-1]))
                        names -= 1
    return removed


def _linked(top: Path) -> _Names:
    """Return the files of several names in a directory and its groups' directories, by device and inode."""
    found: _Names = defaultdict(list)
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if folder == str(top) and not name.startswith(".")]
        for path in (Path(folder, name) for name in sorted(names)):
            with suppress(OSError):
                if (status := path.lstat()).st_nlink > 1:
                    found[status.st_dev, status.st_ino].append(path)
    return dict(found)
