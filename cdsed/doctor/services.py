"""The services: name resolution, TLS, proxies, the catalogue, the identity service."""

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from cdsed.catalogue.client import connect
from cdsed.catalogue.http_client import HttpClient, ca_bundle
from cdsed.clock import Clock
from cdsed.config.proxies import Proxy, ProxyRules
from cdsed.config.settings import Settings
from cdsed.doctor.configured import proxy_lines
from cdsed.doctor.finding import Finding, fine, problem, remark
from cdsed.doctor.timed import in_time
from cdsed.errors import ServiceError

_WITHIN_S = 15.0
_CERTIFICATE_DAYS_MIN = 14
_DRIFT_REMARK_S, _DRIFT_PROBLEM_S = 5.0, 300.0
_PROXY = "correct services.proxy_url in the settings, or https_proxy and no_proxy of the environment"
_NETWORK = "look at the network, proxies and firewalls, and at `services` in the settings"


def check_services(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Yield what was found about each service of the settings; one request each to the catalogue and to identity."""
    for line in proxy_lines(settings):
        yield fine("proxy", "", f"services are reached through the proxy {line}")
    rules = ProxyRules(settings.services.proxy_url)
    reached = True
    for host, url in _hosts(settings).items():
        found = list(_connect(host, url, rules.proxy_for(url), settings, clock))
        reached = reached and all(each.verdict != "problem" for each in found)
        yield from found
    if reached:
        yield from _catalogue(settings, clock)
        yield _identity(settings, clock)


def _hosts(settings: Settings) -> dict[str, str]:
    """Return an address of each host; S3 first, which trusts other authorities than the rest."""
    found: dict[str, str] = {}
    for url in (settings.services.s3_url, *settings.services.urls):
        found.setdefault(urlsplit(url).netloc, url)
    return found


def _connect(host: str, url: str, proxy: Proxy | None, settings: Settings, clock: Clock) -> Iterator[Finding]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    name, number = (proxy.host, proxy.port) if proxy else (str(parts.hostname), port)
    try:
        addresses = in_time(lambda: socket.getaddrinfo(name, number, type=socket.SOCK_STREAM), _WITHIN_S)
    except OSError as error:
        means = "nothing of this service can be reached"
        remedy = _PROXY if proxy else "look at /etc/resolv.conf, and at the network"
        yield problem("dns", host, f"{'the proxy ' if proxy else ''}{name} has no address: {error}", means, remedy)
        return
    known = ", ".join(sorted({str(each[4][0]) for each in addresses})[:4])
    yield fine("dns", host, f"{name} is {known}")
    if parts.scheme == "https":
        yield _tls(host, url, proxy, settings, clock)
        return
    try:
        socket.create_connection((name, number), timeout=_WITHIN_S).close()
    except OSError as error:
        to = f" to the proxy {proxy}" if proxy else ""
        remedy = _PROXY if proxy else _NETWORK
        yield problem("connection", host, f"no connection{to}: {error}", "nothing of it can be reached", remedy)
        return
    yield fine("connection", host, "answers, without TLS")


def _tls(host: str, url: str, proxy: Proxy | None, settings: Settings, clock: Clock) -> Finding:
    is_s3 = url == settings.services.s3_url
    ca_file = settings.services.ca_file
    context = ssl.create_default_context(cafile=(str(ca_file) if ca_file else None) if is_s3 else ca_bundle(ca_file))
    try:
        certificate = in_time(lambda: _certificate(url, proxy, context), 2 * _WITHIN_S)
    except ssl.SSLCertVerificationError as error:
        means = "something on the way, such as a firewall, may open TLS, or this machine lacks an authority"
        remedy = "ask who runs the network for its certificate authority, and name the file in services.ca_file"
        return problem("tls", host, f"its certificate is not trusted: {error.verify_message}", means, remedy)
    except (OSError, http.client.HTTPException) as error:
        through = f" through the proxy {proxy}" if proxy else ""
        remedy = _PROXY if proxy else _NETWORK
        return problem("tls", host, f"no TLS connection{through}: {error}", "nothing of it can be reached", remedy)
    issuer = _words(certificate.get("issuer", ()))
    left_days = (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - clock.utc_s()) / 86_400
    text = f"certificate of {issuer}, for {left_days:.0f} more days"
    if ca_file is not None and not _is_public(url, proxy):
        means = "something on the way opens TLS: it can read passwords and keys, and change products"
        return remark(
            "tls", host, f"intercepted: {text}, trusted only by services.ca_file", means, "ask who runs the network"
        )
    if left_days < _CERTIFICATE_DAYS_MIN:
        return remark("tls", host, text, "CDSE has to renew it, or nothing is downloaded", "wait, and look again")
    return fine("tls", host, text)


def _is_public(url: str, proxy: Proxy | None) -> bool:
    """Tell whether the authorities of this system trust the certificate, without services.ca_file."""
    try:
        in_time(lambda: _certificate(url, proxy, ssl.create_default_context()), 2 * _WITHIN_S)
    except ssl.SSLCertVerificationError:
        return False
    except (OSError, http.client.HTTPException):
        pass  # it could be reached a moment ago
    return True


def _certificate(url: str, proxy: Proxy | None, context: ssl.SSLContext) -> Mapping[str, object]:
    parts = urlsplit(url)
    host, port = (proxy.host, proxy.port) if proxy else (parts.hostname, parts.port)
    connection = http.client.HTTPSConnection(str(host), port, timeout=_WITHIN_S, context=context)
    if proxy:
        connection.set_tunnel(str(parts.hostname), parts.port, proxy.headers())
    try:
        connection.connect()
        found: Mapping[str, object] = connection.sock.getpeercert() or {}
    finally:
        connection.close()
    return found


def _words(name: object) -> str:
    """Return organisation and name of the issuer of a certificate."""
    parts = dict(pair[0] for pair in name if pair) if isinstance(name, tuple) else {}
    chosen = (parts.get("organizationName"), parts.get("commonName"))
    text = ", ".join(str(each) for each in chosen if each) or "an issuer without a name"
    return "".join(each if each.isprintable() else " " for each in text[:100])


def _catalogue(settings: Settings, clock: Clock) -> Iterator[Finding]:
    subject = settings.services.catalogue_url
    quick = {"catalogue": settings.catalogue.model_copy(update={"timeout_s": _WITHIN_S})}
    try:
        with connect(settings.model_copy(update=quick), clock=clock, stop=threading.Event(), tries=1) as service:
            reply = service.fetch("Products", {"$top": "1"})
            now_s = clock.utc_s()
    except ServiceError as error:
        means = "searches fail, and products without a known path wait"
        yield problem("catalogue", subject, str(error), means, _NETWORK)
        return
    yield fine("catalogue", subject, "answers")
    drift_s = _drift_s(reply.date, now_s)
    if drift_s is None:
        return
    text = f"this clock is {abs(drift_s):.0f} s {'ahead of' if drift_s > 0 else 'behind'} the catalogue's"
    if abs(drift_s) >= _DRIFT_REMARK_S:
        make = problem if abs(drift_s) >= _DRIFT_PROBLEM_S else remark
        means = "S3 refuses requests that are signed 15 min too early or too late"
        yield make("drift", "", text, means, "sudo timedatectl set-ntp true, or see to chrony")
    else:
        yield fine("drift", "", "this clock agrees with the catalogue's")


def _drift_s(date: str | None, now_s: float) -> float | None:
    """Return how far this clock is ahead of a ``Date`` header, which has whole seconds."""
    try:
        drift_s = now_s - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return None
    return drift_s if abs(drift_s) > 1 else 0.0


def _identity(settings: Settings, clock: Clock) -> Finding:
    """Ask the identity service without a login: each login opens a session there, of which an account has few."""
    subject = settings.services.identity_url
    means = "accounts with only a password, `cdsed keys` and zip downloads do not work"
    try:
        with HttpClient.from_settings(
            settings, clock=clock, stop=threading.Event(), timeout_s=_WITHIN_S, refuses_in_json=False
        ) as client:
            status = client.send("GET", subject).status
    except ServiceError as error:
        return problem("identity", subject, str(error), means, _NETWORK)
    if status == 404:
        return remark("identity", subject, "has nothing at this address (404)", means, "look at services.identity_url")
    return fine("identity", subject, "answers")
