"""The identity of a directory: it differs between a mounted disk and its empty mount point."""

from dataclasses import asdict

from cdsed.frozen import frozen


@frozen
class DirectoryIdentity:
    """The identity of a directory.

    Attributes
    ----------
    marker
        Content of its marker file; '' if it has none. It stays the same over reboots and mounts.
    device, inode
        The directory itself, from stat(2). They stay the same when the directory is emptied.
    """

    marker: str
    device: int
    inode: int

    def is_same_directory(self, other: "DirectoryIdentity") -> bool:
        """Tell whether both are the same directory for the kernel, whatever is in it."""
        return (self.device, self.inode) == (other.device, other.inode)

    def is_lost(self, now: "DirectoryIdentity | None") -> bool:
        """Tell whether the directory is gone: it is missing, an empty mount point, or on another disk."""
        return now is None or (now.marker != self.marker and not now.is_same_directory(self))

    def as_dict(self) -> dict[str, str | int]:
        """Return the fields by name."""
        return asdict(self)
