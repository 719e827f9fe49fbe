"""A whole machine under qemu, with cdsed under its systemd: `make soak-machine`."""

from collections.abc import Iterator

import pytest

from cdsed.sandbox.names import realistic_safenames
from tests.soak.guest.image import why_not
from tests.soak.guest.lab import GuestLab
from tests.support.machine import trees

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(why_not()), reason=f"no machine under qemu here: {why_not()}"),
    pytest.mark.timeout(7200),
]


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuestLab]:
    """Give a machine that has booted, and runs the service."""
    with trees.alone():
        try:
            made = GuestLab(tmp_path_factory.mktemp("guest") / "x")
            with made as entered:
                print(f"\nbooted in {entered.start():.0f} s", flush=True)
                yield entered
        except trees.NoTree as error:
            pytest.skip(str(error))


def products(count: int, seed: int, size_bytes: int) -> list[dict[str, object]]:
    """Return products for the sandbox."""
    return [{"safename": name, "size_bytes": size_bytes} for name in realistic_safenames("S1_GRD", count, seed=seed)]


def test_a_transfer_in_a_booted_machine_is_whole(lab: GuestLab) -> None:
    lab.drop("first.txt", *products(3, 1, 3_000_000))
    lab.wait_for_reports()
    lab.judge_at_the_end()
