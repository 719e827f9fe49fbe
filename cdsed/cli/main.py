"""The ``cdsed`` command: its parser, and the conversion of every error to a message and an exit code."""

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from cdsed._version import __version__
from cdsed.errors import CdsedError, ExitCode

_EPILOG = """\
exit codes:
  0   success
  1   it ran, but part of the work failed
  3   status: no daemon runs
  64  the command line is wrong
  65  a listing cannot be accepted, or a name is not a product's
  70  an error in cdsed itself
  72  the state is damaged or gone; the next start of the daemon recovers it
  74  the disk of the state is full, read-only or failing
  75  another daemon runs, or the state is locked
  77  this user may not read or write what it needs
  78  settings or accounts are wrong; a newer state; a state on a network disk
  130 interrupted by ^C

The search path of the settings: --config, $CDSED_CONFIG,
$XDG_CONFIG_HOME/cdsed/cdsed.yml, /etc/cdsed/cdsed.yml.
"""

# The modules of the commands in the order of `cdsed --help`: what a newcomer needs comes first.
_GROUPS = {
    "begin here": ("config", "add", "run", "status", "doctor"),
    "control": ("pause", "drain", "priority", "cancel", "retry", "refetch"),
    "find out": ("explain", "missing", "export", "check", "verify", "web", "metrics"),
    "catalogue and names": ("query", "queries", "resolve", "metadata", "match", "convert", "parse"),
    "maintain": ("keys", "hooks", "state", "engine"),
    "try it": ("demo", "sandbox"),
    "other": ("completion", "version", "role"),
}
COMMANDS = tuple(name for names in _GROUPS.values() for name in names)
_HEADINGS = {names[0]: title for title, names in _GROUPS.items()}
_ALSO = {"resume": "pause"}


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Writes a heading above the first command of each group."""

    def _format_action(self, action: argparse.Action) -> str:
        heading = _HEADINGS.get(action.dest)
        return f"\n  {heading}:\n{super()._format_action(action)}" if heading else super()._format_action(action)


class _Parser(argparse.ArgumentParser):
    """An argparse parser that exits with the sysexits code for a wrong command line."""

    def error(self, message: str) -> "None":  # type: ignore[override]
        self.print_usage(sys.stderr)
        _print_error(f"{self.prog}: {message}; see {self.prog} --help")
        self.exit(ExitCode.USAGE)


def parser(argv: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser of the whole command line; of one command if `argv` begins with it.

    The import of all commands takes longer than `cdsed status`.
    """
    top = _Parser(
        prog="cdsed",
        description="Download Copernicus Sentinel products to your disks:\ncomplete, verified, each exactly once.",
        epilog=_EPILOG,
        formatter_class=_HelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"cdsed {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in _modules(argv):
        import_module(f"cdsed.cli.{name}").add_parser(commands)
    return top


def _modules(argv: Sequence[str]) -> Sequence[str]:
    named = _ALSO.get(argv[0], argv[0]) if argv else None
    if named == "--version":
        return ()
    return [named] if named in COMMANDS else COMMANDS


def _print_error(text: str) -> None:
    from cdsed.log import print_error  # only a failing command needs it

    print_error(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. No traceback reaches the user."""
    words = sys.argv[1:] if argv is None else argv
    atexit.register(gc.freeze)  # a last search for garbage in all that was imported would take 10 ms
    arguments = parser(words).parse_args(words)
    try:
        return int(arguments.command(arguments))
    except CdsedError as error:
        _print_error("\n".join(f"cdsed: {line}" for line in str(error).split("\n")))
        return error.exit_code
    except KeyboardInterrupt:
        return 130  # as a shell reports SIGINT
    except BrokenPipeError:
        from cdsed.cli.listing import drop_stdout

        drop_stdout()
        return ExitCode.OK
    except PermissionError as error:
        remedy = f"run it as the user of the daemon, or let this one (uid {os.geteuid()}) use it"
        _print_error(f"cdsed: {error.filename}: permission denied; {remedy}")
        return ExitCode.PERMISSION
    except OSError as error:
        _print_error(f"cdsed: {error.filename or 'the system'}: {error.strerror or error}")
        return ExitCode.UNFINISHED
    except Exception as error:
        if "CDSED_TRACEBACK" in os.environ:
            raise
        from cdsed.log import redact

        what = redact(f"{type(error).__name__}: {error}")
        _print_error(f"cdsed: an error in cdsed itself ({what}); please report it, with what")
        _print_error("cdsed: CDSED_TRACEBACK=1 in the environment shows")
        return ExitCode.BUG
