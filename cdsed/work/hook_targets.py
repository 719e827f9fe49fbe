"""Give a delivery to a program, a webhook or people; each call has a time limit."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path

from cdsed import log
from cdsed.catalogue.http_client import HttpClient
from cdsed.catalogue.http_errors import one_line
from cdsed.clock import Clock
from cdsed.config.event_hooks import EventHook, MailTarget, WebhookTarget
from cdsed.config.private import read_private
from cdsed.config.settings import Settings
from cdsed.errors import HookError, ServiceError
from cdsed.process.bounded_run import run_bounded
from cdsed.work.hook_payload import HookDelivery, mail_of, signature

_SECRET_BYTES_MIN, _SECRET_BYTES_MAX = 16, 4096


def give(hook: EventHook, delivery: HookDelivery, settings: Settings, clock: Clock, limit_s: float) -> None:
    """Give a delivery to a hook.

    Raises
    ------
    HookError
        The hook did not accept it; the text says why.
    """
    if hook.command is not None:
        names = {"CDSED_HOOK": hook.name, "CDSED_DELIVERY": delivery.id}
        _run(hook.command, delivery.as_json(), limit_s, names)
    elif hook.webhook is not None:
        _post(hook, hook.webhook, delivery, settings, clock, limit_s)
    elif hook.mail is not None:
        _mail(hook.mail, delivery, limit_s)


def _run(argv: tuple[str, ...], stdin: bytes, limit_s: float, environ: Mapping[str, str]) -> None:
    try:
        end = run_bounded(argv, stdin, limit_s, environ)
    except OSError as error:
        raise HookError(f"{argv[0]} cannot be started: {error.strerror or error}") from error
    if end.code == 0:
        return
    said = f": {one_line(log.redact(end.said))}" if end.said else ""
    if end.code is None:
        raise HookError(f"{argv[0]} did not end within {limit_s:g} s and was killed{said}")
    how = f"was killed by signal {-end.code}" if end.code < 0 else f"ended with exit code {end.code}"
    raise HookError(f"{argv[0]} {how}{said}")


def _mail(target: MailTarget, delivery: HookDelivery, limit_s: float) -> None:
    argv = (str(target.sendmail), "-i", "-f", target.from_address, "--", *target.to)
    _run(argv, mail_of(target, delivery), limit_s, {})


def _post(
    hook: EventHook, target: WebhookTarget, delivery: HookDelivery, settings: Settings, clock: Clock, limit_s: float
) -> None:
    body, timestamp = delivery.as_json(), str(int(clock.utc_s()))
    headers = {
        "Content-Type": "application/json",
        "Cdsed-Delivery": delivery.id,
        "Cdsed-Timestamp": timestamp,
        "Cdsed-Signature": signature(read_secret(target.secret_file, os.environ), timestamp, body),
    }
    # Its address is not shown in errors: those of chat services have a secret in their path.
    name = f"webhook of hook {hook.name}"
    with HttpClient.from_settings(
        settings, clock=clock, stop=threading.Event(), timeout_s=limit_s, service_url=name
    ) as client:
        try:
            status = client.post(target.url, body, headers, limit_s)
        except ServiceError as error:
            raise HookError(str(error)) from None
    if not 200 <= status < 300:
        raise HookError(f"{name}: answered {status}")


def read_secret(path: Path, environ: Mapping[str, str]) -> bytes:
    """Return the secret that signs requests, and hide it from the log.

    Parameters
    ----------
    path
        The file of the settings. One of the same name in ``CREDENTIALS_DIRECTORY`` wins, which systemd protects.
    environ
        The environment.

    Raises
    ------
    HookError
        It cannot be read, other users may read it, or it is too short.
    """
    directory = environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(directory, path.name) if directory else None
    guarded = credential is not None and credential.is_file()
    source = credential if credential is not None and guarded else path
    try:
        secret = read_private(source, _SECRET_BYTES_MAX, guarded=guarded).strip()
    except OSError as error:
        raise HookError(f"secret_file {source} cannot be read: {error.strerror}") from error
    if len(secret) < _SECRET_BYTES_MIN:
        raise HookError(f"secret_file {source} should have {_SECRET_BYTES_MIN} characters or more")
    log.hide(secret.decode("utf-8", errors="replace"))
    return secret
