"""The process from which the holders of a pilot are forked: on a machine with many, most of their start is imports.

``python -m cdsed.engine.holder_template``, with a socket as its stdin: a pilot starts it, as it has threads itself.
"""

import gc
import os
import socket
from collections.abc import Sequence

from cdsed.config.secrets import forbid_core_dumps
from cdsed.errors import ExitCode
from cdsed.process.interpreter import module_command
from cdsed.process.template import Template, be_template
from cdsed.process.worker_control import PARENT_PIPE_FD

HOLDER = "cdsed.engine.holder"
_ANSWERS_WITHIN_S = 10.0  # a pilot does nothing else meanwhile


def start() -> Template:
    """Start the template of holders; their one descriptor becomes their stdin and stdout."""
    return Template.started(HOLDER, module_command(__spec__.name), _ANSWERS_WITHIN_S)


def _prepare() -> None:
    """Import what holders need, and make what the first grant, message and use of a class would make."""
    import encodings.idna  # noqa: F401 - the first connection looks a name up

    from cdsed.config.accounts import build_checks
    from cdsed.engine.holder import main  # noqa: F401 - `_be_holder` uses it
    from cdsed.engine.wire import Want, decode, encode
    from cdsed.frozen import compile_all

    build_checks()
    decode(encode(Want("", 0, 0)))
    compile_all()


def _be_holder(arguments: Sequence[str]) -> ExitCode:
    from cdsed.engine.holder import main

    descriptor = int(os.environ.pop(PARENT_PIPE_FD))
    for number in (0, 1):
        os.dup2(descriptor, number)
    os.close(descriptor)
    config, nonce = arguments
    return main(config, nonce)


if __name__ == "__main__":
    forbid_core_dumps()  # keys may be in its environment
    gc.disable()  # imports leave hardly any garbage
    os.chdir("/")
    be_template(socket.socket(fileno=os.dup(0)), _prepare, _be_holder)
