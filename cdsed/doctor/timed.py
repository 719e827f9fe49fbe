"""Call a function that may hang, for example in the resolver, and give up after some seconds."""

import threading
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")


def in_time(function: Callable[[], _Result], within_s: float) -> _Result:
    """Return the result of a function, called in a thread that does not keep the process alive.

    Raises
    ------
    TimeoutError
        It did not end in time.
    OSError
        As the function raises it.
    """
    results: list[_Result] = []
    errors: list[OSError] = []

    def call() -> None:
        try:
            results.append(function())
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(within_s)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no result within {within_s:g} s")
    return results[0]
