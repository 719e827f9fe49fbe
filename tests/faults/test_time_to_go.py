"""What the status says while real daemons download: times to go that hold, and quota waits that are calm."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from cdsed.model.operation import EtaLimit
from cdsed.model.status_report import StatusReport
from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from cdsed.view.read import read_status
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess


def seen(lab: Installation) -> StatusReport:
    """Return the status, which has nothing to complain about."""
    done = lab.command("status")
    assert done.returncode == 0, done.stdout
    assert "no account can be used" not in done.stdout
    report = read_status(lab.state).report
    assert not report.needs_account
    assert [account.error for account in report.accounts if account.error] == []
    return report


def three_listings(
    lab: Installation, sandbox: SandboxProcess, kind: str, count: int, size_bytes: int, group: str | None = None
) -> list[str]:
    """Drop three listings of `count` products each; return their file names."""
    names = realistic_safenames(kind, 3 * count, seed=91)
    sandbox.add_products(*({"safename": name, "size_bytes": size_bytes} for name in names))
    files = [f"{kind}-{number}.txt" for number in range(3)]
    for number, file in enumerate(files):
        lab.drop(file, names[number * count : (number + 1) * count], group=group)
    return files


def etas(report: StatusReport) -> dict[str, float]:
    """Return the seconds to go of each open listing, by name."""
    return {each.name: each.eta.seconds for each in report.listings if each.eta}


def test_few_requests_are_waited_for_calmly_and_a_narrow_line_gives_listings_their_times(tmp_path: Path) -> None:
    """One group has 150 requests a minute, the other 4 MB/s; each listing of either has its own time."""
    few, narrow = make_accounts(2, 4)
    few = replace(few, requests_per_minute=150)
    narrow = replace(narrow, bandwidth_bytes_per_s=1_000_000)
    with SandboxProcess(accounts=[few, narrow]) as sandbox:
        lab = Installation(tmp_path, sandbox, groups={"default": [few], "narrow": [narrow]})
        three_listings(lab, sandbox, "S1_GRD", 10, 100_000)
        files = three_listings(lab, sandbox, "S1_OCN", 6, 5_000_000, "narrow")
        with DaemonProcess(lab) as daemon:
            wait_until("all have begun", lambda: len(etas(read_status(lab.state).report)) == 6, daemon=daemon)
            _calm_for(7.0, lab)
            report, looked_s = seen(lab), time.monotonic()
            [disk] = report.disks
            assert (disk.place, disk.error) == (str(lab.spool), None)
            assert disk.free_bytes
            took = {}
            for file in files:
                wait_until(f"the report of {file}", lambda file=file: _is_reported(lab, file), 60, daemon=daemon)
                took[file] = time.monotonic() - looked_s
            last = seen(lab)
            requests = lab.query("SELECT requests FROM product_kind WHERE kind LIKE '%GRD%'")[0]["requests"]
        said = etas(report)
        assert said[files[-1]] == pytest.approx(took[files[-1]], rel=0.25, abs=2)
        times = [said[file] for file in files if file in said]  # the first may be done
        assert times == sorted(times)
        assert len(times) > 1
        limits = {each.group: each.eta.limit for each in report.listings if each.eta}
        assert limits == {"default": EtaLimit.REQUESTS, "narrow": EtaLimit.BANDWIDTH}
        narrow_ones = [each for each in report.transfers if each.group == "narrow"]
        assert {each.accounts for each in narrow_ones} == {(narrow.name,)}
        assert all(0 <= each.done_bytes <= each.size_bytes for each in narrow_ones)
        assert sum(each.sessions for each in narrow_ones) <= 4
        # What is beyond the requests of the first minute waits for further ones, in windows of 61 s.
        assert report.eta is not None
        assert report.eta.seconds == pytest.approx((30 * requests / 150 - 1) * 61, rel=0.25)
        assert last.last_published is not None
        assert last.quota_wait is not None, "now all wait for the minute"
        assert last.eta is not None


def _is_reported(lab: Installation, file: str) -> bool:
    return bool(lab.query(f"SELECT 1 FROM listing WHERE name LIKE '%{file}' AND state = 'reported'"))


def _calm_for(seconds: float, lab: Installation) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        report = seen(lab)
        assert report.eta is not None
        assert report.stalled_for_s is None


@pytest.mark.soak
@pytest.mark.timeout(5400)
def test_three_listings_of_500_products_take_as_long_as_the_status_says_after_a_minute(tmp_path: Path) -> None:
    with SandboxProcess(accounts=[replace(make_accounts(1, 1)[0], requests_per_minute=2000)]) as sandbox:
        lab = Installation(tmp_path, sandbox)
        files = three_listings(lab, sandbox, "S1_GRD", 500, 300_000)
        with DaemonProcess(lab) as daemon:
            wait_until("it has begun", lambda: read_status(lab.state).report.transfers, daemon=daemon)
            time.sleep(60)
            said, looked_s, took = etas(seen(lab)), time.monotonic(), dict[str, float]()
            while len(took) < len(files):
                assert time.monotonic() - looked_s < 4800
                again = seen(lab)
                assert again.eta is not None or all(lab.report(file) for file in files)
                took |= {file: time.monotonic() - looked_s for file in files if file not in took and lab.report(file)}
                time.sleep(2)
        print({file: (round(said[file]), round(took[file])) for file in files})
        for file in files:
            assert said[file] == pytest.approx(took[file], rel=0.25), (said, took)
