from pathlib import Path

import pytest

from tests.support.cli_lab import ON_DISK, WAITS, CliLab


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    path = tmp_path / "storm.txt"
    path.write_text(f"{WAITS}\nnonsense\n{ON_DISK}\n", encoding="utf-8")
    return path


def inside(cli_lab: CliLab) -> list[str]:
    return sorted(path.name for path in cli_lab.inbox.iterdir())


def test_a_listing_is_looked_through_then_put(cli_lab: CliLab, listing: Path) -> None:
    done = cli_lab.cdsed("add", str(listing))
    assert done.returncode == 0, done.stderr
    assert "storm.txt: 2 lines with products, 1 line rejected\n  line 2: does not begin" in done.stdout
    assert "(8 characters, not shown)" in done.stdout
    assert f"put into the inbox: {cli_lab.inbox}/storm.txt" in done.stdout
    assert f"its receipt will be {cli_lab.inbox}/.accepted/storm.txt.receipt.txt" in done.stdout
    assert "no daemon runs" in done.stdout
    assert (cli_lab.inbox / "storm.txt").read_bytes() == listing.read_bytes()


def test_options_stand_in_front_of_the_listing(cli_lab: CliLab, listing: Path) -> None:
    done = cli_lab.cdsed(
        "add", str(listing), "--group", "lops", "--priority", "7", "--outputdir", str(cli_lab.root / "a b")
    )
    assert done.returncode == 0, done.stderr
    first = (cli_lab.inbox / "storm.txt").read_text(encoding="utf-8").split("\n")[0]
    assert first == f"# cdsed: priority=7 group=lops 'outputdir={cli_lab.root / 'a b'}'"


def test_stdin_is_a_listing_too(cli_lab: CliLab) -> None:
    done = cli_lab.cdsed("add", "-", stdin=f"{WAITS}\n".encode())
    assert done.returncode == 0, done.stderr
    (name,) = inside(cli_lab)
    assert name.startswith("stdin-")


def test_a_name_that_was_used_before_gets_another_receipt(cli_lab: CliLab, listing: Path) -> None:
    (cli_lab.inbox / ".accepted").mkdir()
    (cli_lab.inbox / ".accepted" / "storm.txt").write_text("older", encoding="utf-8")
    assert "/.accepted/storm-2.txt.receipt.txt" in cli_lab.cdsed("add", str(listing)).stdout


def test_when_one_listing_is_refused_none_is_put(cli_lab: CliLab, listing: Path) -> None:
    bad = listing.with_name("bad.txt")
    bad.write_text("nonsense\n", encoding="utf-8")
    done = cli_lab.cdsed("add", str(listing), str(bad))
    assert done.returncode == 65
    assert done.stderr.startswith("cdsed: bad.txt does not look like a listing")
    assert done.stderr.endswith("cdsed: nothing was put into the inbox\n")
    assert inside(cli_lab) == []


def test_strict_refuses_a_listing_with_a_rejected_line(cli_lab: CliLab, listing: Path) -> None:
    done = cli_lab.cdsed("add", "--strict", str(listing))
    assert done.returncode == 65
    assert "storm.txt holds 1 line that cannot be accepted" in done.stderr
    assert inside(cli_lab) == []


def test_a_file_that_is_none_is_refused(cli_lab: CliLab, tmp_path: Path) -> None:
    done = cli_lab.cdsed("add", str(tmp_path / "absent.txt"))
    assert done.returncode == 65
    assert "absent.txt cannot be read as a listing" in done.stderr


def test_a_group_that_does_not_exist_is_refused_with_those_of_the_accounts_file(cli_lab: CliLab, listing: Path) -> None:
    done = cli_lab.cdsed("add", str(listing), "--group", "lpos")
    assert done.returncode == 64
    assert done.stderr == "cdsed: there is no account group 'lpos'; there are default, lops\n"


def test_the_state_knows_the_groups_when_the_accounts_are_not_readable(used_cli_lab: CliLab, listing: Path) -> None:
    (used_cli_lab.root / "accounts.yml").unlink()
    assert "there are default, lops" in used_cli_lab.cdsed("add", str(listing), "--group", "lpos").stderr
    assert used_cli_lab.cdsed("add", str(listing), "--group", "lops").returncode == 0


def test_a_priority_out_of_bounds_is_refused(cli_lab: CliLab, listing: Path) -> None:
    assert cli_lab.cdsed("add", str(listing), "--priority", "1001").returncode == 64
    assert inside(cli_lab) == []


def test_no_secret_is_printed(cli_lab: CliLab, listing: Path) -> None:
    for group in ("lops", "lpos"):
        done = cli_lab.cdsed("add", str(listing), "--group", group)
        assert "canary" not in done.stdout + done.stderr


def test_a_name_that_the_inbox_leaves_alone_is_refused(cli_lab: CliLab, listing: Path) -> None:
    done = cli_lab.cdsed("add", str(listing.rename(listing.with_name("storm.part"))))
    assert done.returncode == 65
    assert "storm.part has a name that the inbox ignores" in done.stderr
    assert inside(cli_lab) == []
