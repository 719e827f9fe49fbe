"""The share of the quota that is used: a running daemon at a sandbox with the limits of CDSE.

Every response begins after 30 ms, and a connection has 20 MB/s. What is possible is what the connections of all
accounts carry if each object is asked for once, in one piece, and no connection ever waits. The time is counted from
the first request for a byte until the last product is published.

With 10 accounts, a connection has 5 MB/s: a sandbox that has to send 800 MB/s would take the two cores that cdsed
needs. A last measure reads with bare connections, to see whether the sandbox is the limit.
"""

import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from cdsed.config.secrets import Secret
from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from cdsed.transfer.connection import Connection, Credentials, Endpoint
from tests.benchmarks.environment import BUILD
from tests.benchmarks.lab import BenchLab, RunningDaemon
from tests.benchmarks.processes import PeakMemory
from tests.benchmarks.result import Form, Result
from tests.benchmarks.slow_sandbox import SlowSandbox

FIRST_BYTE_S = 0.03
_SESSIONS = 4
_UNLIMITED = 1_000_000
_LOOK_S, _COUNT_EVERY_S = 0.01, 0.1


@dataclass(frozen=True)
class Course:
    """What is fetched over how many connections.

    Attributes
    ----------
    kinds
        Kind of product, how many, and the share of all bytes that they are.
    seconds
        How long the connections need for all bytes.
    requests_per_minute
        Of each account.
    objects
        Of each product at least.
    """

    name: str
    accounts: int
    kinds: tuple[tuple[str, int, float], ...]
    seconds: float
    requests_per_minute: int = _UNLIMITED
    objects: int = 0

    @property
    def rate_bytes_per_s(self) -> int:
        """Return the rate of each connection."""
        return 20_000_000 if self.accounts < 10 else 5_000_000

    @property
    def connections(self) -> int:
        """Return how many all accounts have together."""
        return self.accounts * _SESSIONS

    def products(self) -> list[dict[str, object]]:
        """Return the products, as the sandbox takes them."""
        total_bytes = self.connections * self.rate_bytes_per_s * self.seconds
        return [
            {"safename": name, "size_bytes": int(total_bytes * share / count), "objects": self.objects}
            for kind, count, share in self.kinds
            for name in realistic_safenames(kind, count, seed=6)
        ]

    def possible_s(self, objects: int, size_bytes: int) -> float:
        """Return how long it takes at least, from the first request."""
        busy_s = objects * FIRST_BYTE_S + size_bytes / self.rate_bytes_per_s
        minutes = max(0, objects - 1) // (self.requests_per_minute * self.accounts)
        after = objects - minutes * self.requests_per_minute * self.accounts
        return max(busy_s / self.connections, 60 * minutes + after * FIRST_BYTE_S / self.connections)


@dataclass(frozen=True)
class Outcome:
    """What was seen: seconds from the first request for a byte, and shares."""

    possible_s: float
    first_s: float
    whole_s: float
    last_share: float
    peak_bytes: int


_ONE, _THREE = (("S1_SLC", 1, 1.0),), (("S1_SLC", 3, 1.0),)
_MIX = (("S1_OCN", 20, 0.1), ("S1_GRD", 4, 0.4), ("S1_SLC", 1, 0.5))
_COURSES = (
    *(Course(f"one SLC, {count} account{'s' * (count > 1)}", count, _ONE, 12) for count in (1, 2, 10)),
    Course("3 SLC on 4 connections", 1, _THREE, 15),
    *(Course(f"MIX, {count} account{'s' * (count > 1)}", count, _MIX, 15) for count in (1, 2, 10)),
)
# 465 objects, and 400 requests a minute: the rest has to wait for the second minute.
_WV = Course("WV of 465 objects, 400 requests a minute", 1, (("S1_WV", 1, 1.0),), 5, 400, 455)


def quota(form: Form) -> list[Result]:
    """Run all courses; in the short form one of each kind."""
    courses = (_COURSES[1], _COURSES[3]) if form.short else (*_COURSES, _WV)
    results = []
    for course in courses:
        outcome = _run(course)
        results += [
            Result(f"quota: {course.name}: achieved / possible", outcome.possible_s / outcome.whole_s, at_least=0.97),
            Result(f"quota: {course.name}: first product published after", outcome.first_s, unit="s"),
        ]
        if course is not _WV:
            results.append(Result(f"quota: {course.name}: time of the last 5 %", outcome.last_share, at_most=0.07))
        if course.accounts == 10:
            memory = Result(f"memory: {course.name}", outcome.peak_bytes / 1e6, at_most=600, unit="MB")
            results.append(memory)
    return results + [bare(accounts) for accounts in ((2,) if form.short else (1, 2, 10))]


def _sandbox(course: Course) -> SlowSandbox:
    accounts = make_accounts(course.accounts, 1, course.rate_bytes_per_s)
    accounts = [replace(account, requests_per_minute=course.requests_per_minute) for account in accounts]
    return SlowSandbox(accounts, FIRST_BYTE_S)


def _run(course: Course) -> Outcome:
    products = course.products()
    names = [str(product["safename"]) for product in products]
    with tempfile.TemporaryDirectory(dir=BUILD) as folder, _sandbox(course) as sandbox:
        lab = BenchLab(
            Path(folder, "lab"), sandbox.services, sandbox.accounts, requests_per_minute=course.requests_per_minute
        )
        sandbox.add_products(*products)
        truths = [sandbox.truth(name) for name in names]  # the sandbox computes its digests before the time counts
        sizes = [file.size_bytes for truth in truths for file in truth.values()]
        with RunningDaemon(lab) as daemon, PeakMemory(daemon.pid) as memory:
            lab.drop(names)
            published, sent = _watch(daemon, sandbox, names)
            begun_s = min(request["boot_s"] for request in sandbox.requests() if request["operation"] == "get")
    whole_s = max(published.values()) - begun_s
    nearly_s = next(at_s for at_s, size_bytes in sent if size_bytes >= 0.95 * sum(sizes)) - begun_s
    outcome = Outcome(
        course.possible_s(len(sizes), sum(sizes)),
        min(published.values()) - begun_s,
        whole_s,
        (whole_s - nearly_s) / whole_s,
        memory.peak_bytes,
    )
    print(f"{course.name}: {outcome.possible_s:.1f} s possible, {outcome.whole_s:.1f} s taken", flush=True)
    return outcome


def _watch(
    daemon: RunningDaemon, sandbox: SlowSandbox, names: Iterable[str]
) -> tuple[dict[str, float], list[tuple[float, int]]]:
    """Return when each product was published, and how many bytes were sent at some times, in seconds since boot."""
    missing, published, sent = set(names), {}, [(0.0, 0)]
    until = time.monotonic() + 300
    while missing:
        assert time.monotonic() < until, f"not published after 300 s: {min(missing)}\n{daemon.words()}"
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        arrived = {name for name in missing if (daemon.lab.spool / name).exists()}
        published |= dict.fromkeys(arrived, now_s)
        missing -= arrived
        if now_s - sent[-1][0] >= _COUNT_EVERY_S:
            sent.append((now_s, sandbox.bytes_sent()))
        time.sleep(_LOOK_S)
    sent.append((time.clock_gettime(time.CLOCK_BOOTTIME), sandbox.bytes_sent()))
    return published, sent


def bare(accounts: int) -> Result:
    """Read with connections that do nothing else: what is missing to 1 is the sandbox's and the machine's."""
    course = Course("bare", accounts, (("S1_SLC", 1, 1.0),), 5)
    with _sandbox(course) as sandbox:
        products = course.products()
        [path] = sandbox.add_products(*products).values()
        truth = sandbox.truth(str(products[0]["safename"]))
        key = max(truth, key=lambda name: truth[name].size_bytes)
        length = min(truth[key].size_bytes, 4 * course.rate_bytes_per_s)
        begun_s = time.monotonic()
        with ThreadPoolExecutor(course.connections) as pool:
            list(
                pool.map(
                    lambda login: _read(sandbox, login, f"{path.removeprefix('/eodata/')}/{key}", length),
                    _logins(sandbox),
                )
            )
        taken_s = time.monotonic() - begun_s
    possible_s = FIRST_BYTE_S + length / course.rate_bytes_per_s
    return Result(f"quota: bare connections, {accounts} accounts: achieved / possible", possible_s / taken_s)


def _logins(sandbox: SlowSandbox) -> Iterator[Credentials]:
    for account in sandbox.accounts:
        for _ in range(_SESSIONS):
            yield Credentials(Secret(account.access_key), Secret(account.secret_key))


def _read(sandbox: SlowSandbox, credentials: Credentials, key: str, length: int) -> None:
    connection = Connection(Endpoint(sandbox.url, "default", 10, 60), credentials)
    response = connection.request("GET", "eodata", key, {"Range": f"bytes=0-{length - 1}"})
    while response.read(2**20):
        pass
    connection.close()
