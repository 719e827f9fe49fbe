"""What tells one directory from another of the same name: the mounted disk from its bare mount point."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class DirectoryIdentity:
    """What a directory is.

    Attributes
    ----------
    marker
        What its marker file says; '' where there is none. It stays the same over reboots and mounts.
    device, inode
        The directory itself, as stat(2) tells; stays the same when somebody clears it.
    """

    marker: str
    device: int
    inode: int

    def is_same_directory(self, other: "DirectoryIdentity") -> bool:
        """Tell whether the kernel says so, whatever is in it."""
        return (self.device, self.inode) == (other.device, other.inode)

    def is_lost(self, now: "DirectoryIdentity | None") -> bool:
        """Tell whether something else stands in its place: nothing, a bare mount point, another disk."""
        return now is None or (now.marker != self.marker and not now.is_same_directory(self))

    def as_dict(self) -> dict[str, str | int]:
        """Return the fields by name."""
        return asdict(self)
