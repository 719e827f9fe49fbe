"""The query of quotas, written out for speed, against the views that say what counts for an account."""

import random

import pytest

from cdsed.store import leases, quota_usage
from cdsed.store.queries import Queries
from tests.support.state import StateLab

_USAGES = Queries("quota_usage").usages
_BY_THE_VIEWS = """
WITH leased AS (SELECT account, slot, login, requests FROM session WHERE process IS NOT NULL),
flight AS (SELECT max(peer.own) AS own, max(peer.requests) AS by_requests, leased.requests
           FROM peer JOIN leased ON leased.account = peer.name OR (leased.login = peer.login AND peer.login <> '')
           WHERE peer.account = :account GROUP BY leased.account, leased.slot)
SELECT (SELECT coalesce(sum(bytes), 0) FROM counted JOIN traffic_hour ON traffic_hour.account = counted.name
        WHERE counted.account = :account AND counted.volume) AS used_bytes,
       (SELECT coalesce(sum(traffic_step.requests), 0)
        FROM counted JOIN traffic_step ON traffic_step.account = counted.name
        WHERE counted.account = :account AND counted.requests) AS requests,
       (SELECT coalesce(sum(own), 0) FROM flight) AS held,
       (SELECT coalesce(sum(requests), 0) FROM flight WHERE by_requests) AS claimed_requests,
       (SELECT iif(pool_sessions IS NULL, 0, (SELECT count(*) FROM flight)) FROM account WHERE name = :account)
           AS held_in_pool
"""


@pytest.mark.parametrize("seed", range(25))
def test_what_counts_for_an_account_is_what_the_views_say(lab: StateLab, seed: int) -> None:
    chance = random.Random(seed)
    names = [f"a{number}" for number in range(5)]
    lab.accounts(*names)
    for name in names:
        lab.db.rows(
            "UPDATE account SET account_group = :at, login = :login, shares_volume = :volume,"
            " shares_requests = :requests, pool_sessions = :pool WHERE name = :name",
            name=name,
            at=chance.choice("xy"),
            login=chance.choice(("", "l", "m")),
            volume=chance.randrange(2),
            requests=chance.randrange(2),
            pool=chance.choice((None, 4)),
        )
        sent, size_bytes = chance.randrange(9), chance.randrange(10**6)
        leases.count_traffic(lab.db, lab.clock, name, requests=sent, size_bytes=size_bytes, lease=None)
        lab.db.rows(
            "UPDATE session SET process = :process, fence = slot, requests = :requests,"
            " login = (SELECT login FROM account WHERE name = :name) WHERE account = :name AND slot <= :held",
            process=lab.process,
            requests=chance.randrange(5),
            name=name,
            held=chance.randrange(4),
        )

    for name in names:
        step, second = quota_usage.step_and_second(lab.clock)
        hours = quota_usage.volume_hours(lab.clock)
        now = {"step": step, "second": second, "oldest_step": step - quota_usage.MINUTE_STEPS}
        found = lab.db.row(_USAGES, account=name, **hours, **now, now_s=lab.clock.boot_s(), hangs_since_s=0.0)
        expected = lab.db.row(_BY_THE_VIEWS, account=name)
        assert found is not None
        assert expected is not None
        assert {key: found[key] for key in expected} == expected
