"""The people of the lab: they drop listings, good and hostile ones, and take their products away."""

import random
from dataclasses import dataclass

from cdsed.sandbox.names import KINDS, realistic_safenames
from tests.soak.world import World, dice_for

_OPEN_MAX = 8
_KEPT = 30


@dataclass(frozen=True)
class Dropped:
    """A listing that has to end well: its bytes, and the products it must bring."""

    name: str
    content: bytes
    products: tuple[str, ...]


class Owner:
    """Drops one listing after the other; which ones, follows from the seed and their number alone."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._number = 0
        self._open: dict[str, Dropped] = {}
        self._known: list[str] = []
        self._owed: set[str] = set()
        self._finished: list[str] = []

    def drop(self) -> None:
        """Drop the next listing, unless enough of them are under way."""
        self.collect()
        if len(self._open) >= _OPEN_MAX:
            return
        self._number += 1
        dice = dice_for(self._world.seed, "listing", self._number)
        hostile = dice.random() < 0.25
        (self._drop_hostile if hostile else self._drop_good)(dice, f"soak-{self._number}.txt")

    def collect(self) -> None:
        """Note the listings that are reported, and take the oldest finished products away."""
        world = self._world
        for name, dropped in list(self._open.items()):
            report = world.lab.report(name)
            if report is None:
                continue
            del self._open[name]
            world.counts["listings"] += 1
            states = {row["safename"]: row["state"] for row in report["products"]}
            if missed := set(dropped.products) - states.keys():
                world.found.append(f"{name} was reported without {sorted(missed)}")
                world.counts["lost"] += len(missed)
            good = {product for product in dropped.products if states.get(product) in ("done", "already_present")}
            for product in set(dropped.products) - good:
                world.counts[f"ended as {states.get(product)}"] += 1
            self._owed -= good
            self._finished += sorted(good)
            self._compare_receipt(dropped)
        wanted = {product for dropped in self._open.values() for product in dropped.products}
        published = world.watcher.published()
        free = [product for product in dict.fromkeys(self._finished) if product not in wanted]
        for product in free[:-_KEPT] if len(free) > _KEPT else []:
            if product in published:
                world.take_away(product, published[product])
            self._finished = [each for each in self._finished if each != product]

    def come_to_rest(self, deadline_s: float) -> None:
        """Wait until everything that was dropped is fetched, and ask again for what was given up during faults."""
        self._wait(deadline_s)
        for round_number in range(3):
            if not self._owed:
                break
            self._world.counts["asked again"] += len(self._owed)
            self._put(f"again-{self._number}-{round_number}.txt", sorted(self._owed))
            self._wait(deadline_s)
        for name in self._open:
            self._world.found.append(f"{name} was never reported")
        for product in self._owed:
            self._world.found.append(f"{product} never came")
        self._world.counts["lost"] += len(self._owed) + len(self._open)
        self._owed.clear()
        self._open.clear()

    def leave(self) -> None:
        """Compare all remaining products, and take them away."""
        for product, path in self._world.watcher.published().items():
            self._world.take_away(product, path)
        self._finished.clear()

    def _wait(self, deadline_s: float) -> None:
        from tests.support.daemon import wait_until

        def reported() -> bool:
            self._world.revive()
            self.collect()
            return not self._open

        try:
            wait_until("all listings are reported", reported, deadline_s)
        except AssertionError as error:
            self._world.found.append(f"{error}\n{self._world.daemon.log()[-3000:]}")

    def _drop_good(self, dice: random.Random, name: str) -> None:
        kind, count = dice.choice(KINDS), dice.randrange(1, 9)
        names = realistic_safenames(kind, count, seed=dice.randrange(10**9))
        sizes = [dice.randrange(10_000, 4_000_000) for _ in names]
        specs = [{"safename": n, "size_bytes": s} for n, s in zip(names, sizes, strict=True)]
        self._world.sandbox.add_products(*specs)
        self._world.watcher.expect(names)
        self._known += names
        again = dice.sample(self._known, min(len(self._known), dice.randrange(3)))
        self._put(name, [*names, *again], dice)

    def _put(self, name: str, products: list[str], dice: random.Random | None = None) -> None:
        lines = [*products]
        if dice is not None and dice.random() < 0.3:
            lines += [dice.choice(products), "# a remark", "", "no product at all"]
        content = "".join(f"{line}\n" for line in lines).encode()
        self._open[name] = Dropped(name, content, tuple(dict.fromkeys(products)))
        self._owed.update(products)
        path = self._world.lab.inbox / name
        if dice is not None and dice.random() < 0.3:  # as `cp` does, in parts; it is stable before it is taken
            with path.open("wb") as file:
                file.write(content[: len(content) // 2])
                file.flush()
                file.write(content[len(content) // 2 :])
        else:
            self._world.lab.drop(name, lines)

    def _drop_hostile(self, dice: random.Random, name: str) -> None:
        self._world.faults["hostile listing"] += 1
        kind = dice.randrange(6)
        content = {
            0: lambda: dice.randbytes(dice.randrange(1, 50_000)),
            1: lambda: "S1A_X\n".encode("utf-16"),
            2: lambda: b"A" * 200_000,
            3: lambda: b"".join(f"S1A_IW_SLC__{n}.SAFE\n".encode() for n in range(200)),
            4: lambda: "\n".join(realistic_safenames("S2_L1C", 2, seed=dice.randrange(10**9))).encode(),  # unknown
            5: lambda: b"../../etc/passwd\n/etc/shadow\n-rf\n\xff\xfe\n\x00\n",
        }[kind]()
        path = self._world.lab.inbox / name
        path.write_bytes(content)

    def _compare_receipt(self, dropped: Dropped) -> None:
        from tests.support.invariants import receipts_unlike_their_listings

        wrong = receipts_unlike_their_listings(self._world.lab, {dropped.name: dropped.content})
        self._world.counts["rules broken"] += len(wrong)
        self._world.found += wrong
