"""For all tests."""

import signal

from hypothesis import settings

pytest_plugins = ["tests.support.fixtures", "tests.support.tiers"]

# Speed is not tested: an example that takes long on a loaded machine says nothing about the code.
settings.register_profile("cdsed", deadline=None)
settings.load_profile("cdsed")


def pytest_configure() -> None:
    # A process that a shell starts in the background ignores SIGINT. The children of the tests would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
