"""The time to go, compared with simulated runs that send one request after the other."""

import heapq
from dataclasses import dataclass, replace

import pytest

from cdsed.model.estimate import WINDOW_S, Load, QuotaSource, Volumes, eta, keep_within, weight
from cdsed.model.operation import EtaLimit
from cdsed.model.quota import VOLUME_WINDOW_H, HourOfTraffic

NOW = 500_000 * 3600.0


@dataclass
class Account:
    """A simulated account, with what it has sent before: pairs of seconds (negative) and requests."""

    sessions: int = 4
    requests_per_minute: int = 2000
    bytes_per_s: float = 20e6  # of each connection
    latency_s: float = 0.05
    before: tuple[tuple[float, int], ...] = ()
    begins_in_s: float = 0.0

    def source(self, size_bytes: float) -> QuotaSource:
        """Return what is known of it, if its speed was measured with requests of this size."""
        a_request_s = self.latency_s + size_bytes / self.bytes_per_s
        sent = sum(requests for _, requests in self.before)
        return QuotaSource(
            speed=weight(self.sessions, self.sessions * size_bytes) / a_request_s,
            bytes_per_s_max=None,
            requests_per_window=self.requests_per_minute,
            returns=(
                (0.0, self.requests_per_minute - sent),
                *((_free_s(at), requests) for at, requests in self.before),
            ),
            begins_in_s=self.begins_in_s,
        )


def _free_s(sent_s: float) -> float:
    return sent_s // 1 + WINDOW_S


def simulated(requests: list[float], accounts: list[Account]) -> float:
    """Return the seconds in which requests of these sizes arrive, each over the session that is free first."""
    free = [
        (account.begins_in_s, number, account)
        for number, account in enumerate(accounts)
        for _ in range(account.sessions)
    ]
    heapq.heapify(free)
    sent = [[_free_s(at) for at, count in account.before for _ in range(count)] for account in accounts]
    for returns in sent:
        heapq.heapify(returns)
    last_s = 0.0
    for size_bytes in requests:
        while True:
            now_s, number, account = heapq.heappop(free)
            while sent[number] and sent[number][0] <= now_s:
                heapq.heappop(sent[number])
            if len(sent[number]) < account.requests_per_minute:
                break
            heapq.heappush(free, (sent[number][0], number, account))
        heapq.heappush(sent[number], _free_s(now_s))
        ends_s = now_s + account.latency_s + size_bytes / account.bytes_per_s
        heapq.heappush(free, (ends_s, number, account))
        last_s = max(last_s, ends_s)
    return last_s


_SPENT = ((-12.0, 1200), (-7.0, 800))
_SHAPES = {
    "requests": ([100_000.0] * 20_000, [Account()], EtaLimit.REQUESTS),
    "requests-after-a-spent-minute": ([100_000.0] * 9_000, [Account(before=_SPENT)], EtaLimit.REQUESTS),
    "the-rest-of-a-minute": ([100_000.0] * 300, [Account(before=_SPENT)], EtaLimit.REQUESTS),
    "few-requests": ([100_000.0] * 9_000, [Account(requests_per_minute=150)], EtaLimit.REQUESTS),
    "one-request-a-minute": ([100_000.0] * 40, [Account(requests_per_minute=1)], EtaLimit.REQUESTS),
    "bandwidth": ([32e6] * 4_000, [Account()], EtaLimit.BANDWIDTH),
    "a-slow-line": ([1e6] * 3_000, [Account(bytes_per_s=1e5)], EtaLimit.BANDWIDTH),
    "latency": ([1e3] * 3_000, [Account(latency_s=2.0)], EtaLimit.BANDWIDTH),
    "mixed-sizes": ([30e6, 2e5, 2e5, 2e5] * 1_500, [Account()], EtaLimit.BANDWIDTH),
    "both-nearly": ([1.2e6] * 12_000, [Account()], EtaLimit.REQUESTS),
    "unequal-quotas": ([100_000.0] * 9_000, [Account(), Account(requests_per_minute=150)], EtaLimit.REQUESTS),
    "unequal-sessions": ([8e6] * 4_000, [Account(), Account(sessions=1)], EtaLimit.BANDWIDTH),
    "one-in-use-and-one-free": ([100_000.0] * 5_000, [Account(before=_SPENT), Account()], EtaLimit.REQUESTS),
    "one-later": ([8e6] * 2_000, [Account(), Account(begins_in_s=100.0)], EtaLimit.BANDWIDTH),
    "all-later": ([8e6] * 500, [Account(begins_in_s=600.0)], EtaLimit.PAUSE),
    "little": ([1e6] * 5, [Account()], EtaLimit.BANDWIDTH),
}  # fmt: skip


@pytest.mark.parametrize("shape", _SHAPES)
def test_the_time_to_go_is_that_of_a_simulated_run(shape: str) -> None:
    requests, accounts, limit = _SHAPES[shape]
    load = Load(len(requests), sum(requests))
    found = eta(load, [account.source(load.size_bytes / load.requests) for account in accounts], NOW)
    assert found is not None
    assert found.seconds == pytest.approx(simulated(requests, accounts), rel=0.1, abs=2)
    assert (found.limit, found.lower_bound) == (limit, False)


def source(speed: float, *, left_bytes: int = 10**15, hours: tuple[HourOfTraffic, ...] = ()) -> QuotaSource:
    """Return a source for requests of 1 MB that has so many bytes per second."""
    return QuotaSource(weight(speed / 1e6, speed), None, 1e9, ((0.0, 1e9),), left_bytes=left_bytes, hours=lambda: hours)


def test_a_volume_that_does_not_suffice_waits_for_the_hours_that_free_it() -> None:
    hours = (HourOfTraffic(500_000 - 700, 5 * 10**12),)
    found = eta(Load(2e6, 2e12), [source(1e9, left_bytes=10**12, hours=hours)], NOW)
    assert found is not None
    assert found.limit is EtaLimit.VOLUME
    assert found.seconds == pytest.approx((VOLUME_WINDOW_H - 700) * 3600 + 1000, rel=0.05)


def test_the_account_with_volume_does_the_work_of_the_one_without() -> None:
    found = eta(Load(1e5, 1e11), [source(1e8, left_bytes=0), source(1e8)], NOW)
    assert found is not None
    assert (found.limit, found.seconds) == (EtaLimit.VOLUME, pytest.approx(1000, rel=0.05))


def test_a_speed_of_large_objects_is_about_right_for_products_with_many_small_ones() -> None:
    """A product's large objects are fetched first: what was measured until then has few requests."""
    early = QuotaSource(weight(1.0, 8e6), None, 1e9, ((0.0, 1e9),))
    found = eta(Load(300, 60e6), [early], NOW)
    assert found is not None
    assert found.seconds == pytest.approx(60e6 / 8e6, rel=0.25)


def test_a_limit_of_bandwidth_gives_a_time_without_a_measure() -> None:
    found = eta(Load(100, 1e8), [QuotaSource(None, 1e6, 2000, ((0.0, 2000.0),))], NOW)
    assert found is not None
    assert (found.seconds, found.limit, found.lower_bound) == (pytest.approx(100, abs=1), EtaLimit.BANDWIDTH, False)


def test_an_account_that_is_paused_takes_no_share_of_the_bandwidth_of_the_others() -> None:
    paused = replace(source(2e6), begins_in_s=7200.0)
    found = eta(Load(600, 6e8), list(keep_within(1e6, [source(2e6), paused])), NOW)
    assert found is not None
    assert found.seconds == pytest.approx(600, rel=0.05)


def test_accounts_that_are_used_together_share_a_limit_by_their_speeds() -> None:
    limited = list(keep_within(1e6, [source(3e6), source(1e6)]))
    assert [each.bytes_per_s_max for each in limited] == [
        pytest.approx(0.75e6, rel=0.1),
        pytest.approx(0.25e6, rel=0.1),
    ]
    assert [each.bytes_per_s_max for each in keep_within(1e9, [source(3e6)])] == [None], "below the limit"


def test_without_a_known_speed_the_requests_give_a_lower_bound() -> None:
    unknown = QuotaSource(None, None, 2000, ((0.0, 2000.0),))
    found = eta(Load(20_000, 2e9), [unknown], NOW)
    assert found is not None
    assert (found.limit, found.lower_bound) == (EtaLimit.REQUESTS, True)
    assert found.seconds == pytest.approx(9 * WINDOW_S, abs=1)
    assert eta(Load(1_500, 2e9), [unknown], NOW) is None, "nothing is known that takes time"


def test_no_account_and_no_speed_give_no_time() -> None:
    assert eta(Load(10, 1e6), [], NOW) is None
    assert eta(Load(10, 1e6), [source(0.0)], NOW) is None


def test_more_than_a_year_gives_no_time_to_plan_with() -> None:
    assert eta(Load(1e9, 1e15), [source(1e9, left_bytes=10**12)], NOW) is None


def test_loads_of_about_the_same_mix_walk_through_the_hours_once() -> None:
    walks = []

    def hours() -> tuple[HourOfTraffic, ...]:
        walks.append(1)
        return ()

    sources = [replace(source(1e9, left_bytes=10**9), hours=hours)]
    volumes = Volumes(sources, NOW)
    loads = [Load(each * 1e3, each * 1.001e9) for each in range(2, 12)]
    shared = [eta(load, sources, NOW, volumes) for load in loads]
    assert len(walks) == 1
    assert shared == [eta(load, sources, NOW) for load in loads]
