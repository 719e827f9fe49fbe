"""Calls of a pure function on workers over Dask, for the verification of archives."""

import os
import queue
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from distributed import KilledWorker

from cdsed.config.engine_settings import CERTIFICATE_NAME, KEY_NAME, EngineSettings
from cdsed.engine.calls import EndedCall, TextCall
from cdsed.engine.dask_client import ANSWER_WITHIN_S, GONE, connected, workers_of
from cdsed.errors import MachineError


class DaskCalls:
    """Calls on workers; see `cdsed.engine.calls.Calls`. In ``with``, it ends its own scheduler and workers.

    Parameters
    ----------
    workers
        How many to start, if the scheduler is our own.
    scratch
        Directory for files of our own workers.
    """

    def __init__(self, settings: EngineSettings, workers: int, scratch: Path, call: TextCall) -> None:
        folder = settings.tls_dir
        for each in () if folder is None else (folder / CERTIFICATE_NAME, folder / KEY_NAME):
            if not os.access(each, os.R_OK):
                raise MachineError(
                    f"{each} is not there or cannot be read; `cdsed engine init` makes it", code="Engine"
                )
        self._call = call
        self._scheduler = settings.scheduler
        self._futures: dict[int, Any] = {}
        self._done: queue.SimpleQueue[int] = queue.SimpleQueue()
        with ExitStack() as stack:
            try:
                self._client = stack.enter_context(connected(settings, workers, scratch, None, stack))
            except (*GONE, ImportError) as error:
                raise MachineError(f"Dask at {settings.scheduler}: {error}", code="Engine") from error
            self._open = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def workers(self) -> Mapping[str, int]:
        """As `Calls`."""
        try:
            return {address: int(each["nthreads"]) for address, each in workers_of(self._client).items()}
        except GONE as error:
            raise self._gone() from error

    def begin(self, number: int, worker: str, text: str) -> None:
        """As `Calls`."""
        key = f"cdsed-verify-{uuid.uuid4().hex[:16]}"
        where: dict[str, Any] = {"workers": [worker], "allow_other_workers": False}
        try:
            future = self._client.submit(self._call, text, key=key, pure=False, retries=0, **where)
        except GONE as error:
            raise self._gone() from error
        self._futures[number] = future
        future.add_done_callback(lambda _: self._done.put(number))

    def forget(self, number: int) -> None:
        """As `Calls`."""
        if (future := self._futures.pop(number, None)) is not None:
            future.release()

    def ended(self, timeout_s: float) -> Sequence[EndedCall]:
        """As `Calls`."""
        with suppress(queue.Empty):
            number = self._done.get(timeout=timeout_s)
            if (future := self._futures.pop(number, None)) is not None:
                return [self._end_of(number, future)]
        return ()

    def _end_of(self, number: int, future: Any) -> EndedCall:
        try:
            if future.status == "finished":
                return EndedCall(number, str(future.result(ANSWER_WITHIN_S)))
            error = future.exception(ANSWER_WITHIN_S) if future.status == "error" else None
        except (*GONE, KilledWorker):
            return EndedCall(number)
        finally:
            future.release()
        lost = error is None or isinstance(error, KilledWorker)
        return EndedCall(number, raised=None if lost else f"{type(error).__name__}: {error}")

    def _gone(self) -> MachineError:
        return MachineError(f"Dask's scheduler at {self._scheduler} is gone", code="Engine")
