"""``cdsed web``: serve the web page, its JSON API and the metrics, with or without a running daemon."""

import argparse
import os
import signal
import threading
from pathlib import Path
from typing import Any

from cdsed.errors import ConfigError, ExitCode


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "web",
        help="serve the web page, its JSON API and the metrics",
        description="Serve the web page, its JSON API (/api/v1/) and the metrics (/metrics) until ^C, whether the "
        "daemon runs or not. If `web.listen` is in the settings, the daemon serves them, and you do not need this.",
    )
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    command.add_argument(
        "--listen",
        metavar="ADDRESS",
        help="HOST:PORT, or the path of a Unix socket (default: web.listen of the settings, else 127.0.0.1:8340)",
    )
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until a signal ends it.

    Raises
    ------
    ConfigError
        The settings are wrong, or the libraries of cdsed[web] are missing.
    UsageError
        It cannot listen at that address.
    """
    from cdsed import log
    from cdsed.clock import SYSTEM_CLOCK
    from cdsed.config.load import load_settings
    from cdsed.config.secrets import forbid_core_dumps
    from cdsed.config.web_page import DEFAULT_LISTEN, Listen, WebSettings

    forbid_core_dumps()
    settings = load_settings(arguments.config, os.environ)
    log.setup("web", settings.log_level)
    address = arguments.listen or settings.web.listen or DEFAULT_LISTEN
    try:
        WebSettings(**{**settings.web.model_dump(), "listen": address})
    except ValueError as error:  # of pydantic: one problem, with the same text as in the settings
        raise ConfigError([f"--listen {address}: {_reason(error)}"]) from None
    from cdsed.web.server import bind, serving

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    listen = Listen.parse(address)
    with bind(listen) as listener:
        if not listen.path:
            listen = Listen(listen.host, listener.getsockname()[1])
        with serving(settings, listener, SYSTEM_CLOCK) as thread:
            print(f"the page of {settings.state_dir} is at {listen}; ^C ends it", flush=True)
            try:
                while thread.is_alive() and not stop.wait(0.5):
                    pass
            except KeyboardInterrupt:
                return ExitCode.OK
            return ExitCode.OK if stop.is_set() else ExitCode.BUG


def _reason(error: ValueError) -> str:
    problems = error.errors(include_url=False, include_input=False) if hasattr(error, "errors") else []
    return "; ".join(str(problem["msg"]).removeprefix("Value error, ") for problem in problems) or str(error)
