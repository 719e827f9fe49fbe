"""Exit with 0 when this Python can run cdsed, else print the reason. It is run by any Python 3, so it must stay simple.

With a non-empty argument: can the service use it? Its unit hides homes and temporary directories (``ProtectHome=``,
``PrivateTmp=``), and its user is in no other group. With ``--hidden PATH``: exit with 0 when the unit hides PATH.
"""

import os
import stat
import sys

# systemd.exec(5), ProtectHome= and PrivateTmp=.
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - compared only


def problem(for_service):
    """Return what is wrong with this Python; an empty text when nothing is."""
    if sys.version_info < (3, 11):
        return f"it is Python {sys.version_info[0]}.{sys.version_info[1]}"
    try:
        import ensurepip  # noqa: F401 - Debian ships it apart, and `venv` fails without it
        import venv  # noqa: F401
    except ImportError as error:
        return f"it has no {error.name}; on Debian: apt install python3-venv"
    if for_service:
        for path in (os.path.realpath(sys.executable), os.path.realpath(sys.base_prefix)):
            if is_hidden(path):
                return f"{path} is hidden from the service (ProtectHome=, PrivateTmp=); use the system's Python"
            closed = closed_directory(path)
            if closed:
                return f"the service's user cannot reach {path}: {closed} is closed to others"
    return ""


def is_hidden(path):
    """Tell whether the unit of the service hides `path`."""
    return any((path + "/").startswith(each + "/") for each in HIDDEN)


def closed_directory(path):
    """Return the directory on the way to `path`, or `path`, that other users may not enter; None when there is none."""
    while path != "/":
        if not os.stat(path).st_mode & stat.S_IXOTH:
            return path
        path = os.path.dirname(path)
    return None


if __name__ == "__main__":
    if sys.argv[1:2] == ["--hidden"]:
        sys.exit(0 if is_hidden(sys.argv[2]) else 1)
    sys.exit(problem(any(sys.argv[1:])) or 0)
