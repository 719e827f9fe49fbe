"""Make the directory of the state."""

from pathlib import Path

from cdsed.errors import ConfigError, StateDiskError
from cdsed.local.making import remedy


def make_state_dir(path: Path) -> None:
    """Make the directory of the state if it is missing.

    Raises
    ------
    ConfigError, StateDiskError
        A file is in its place, or its disk refuses it; the text says what to do.
    """
    try:
        path.mkdir(mode=0o750, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        message = f"state_dir: {path} is not a directory, or is below a file; name another place, or move it away"
        raise ConfigError([message]) from error
    except PermissionError:
        raise
    except OSError as error:
        message = f"state_dir {path} cannot be made ({error.strerror}): is its disk mounted? Else, {remedy(path)}"
        raise StateDiskError(message) from error
