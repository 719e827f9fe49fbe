"""Where a product lies: the listing's word, the name's, the catalogue's."""

from datetime import UTC, datetime

from cdsed.errors import ServiceError
from cdsed.model.catalogue import CatalogueEntry, Deletion, Facts
from cdsed.model.product import PathSource, State
from cdsed.store import products
from cdsed.store.products import Move, Wish
from cdsed.work.resolve import Resolver

GRD = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
S3 = "S3A_SL_2_LST____20240604T110100_20240604T110400_20240604T130000_0179_113_094_2160_PS1_O_NR_004.SEN3"


class Catalogue:
    """A catalogue that knows what the test says; it stands for a service across the internet."""

    def __init__(self, **entries: CatalogueEntry) -> None:
        self.entries = entries
        self.deleted: dict[str, Deletion] = {}
        self.down = False
        self.asked: list[str] = []

    def look_up(self, names):
        self.asked += names
        if self.down:
            raise ServiceError("the catalogue does not answer", code="Timeout")
        found = {name: entry for name, entry in self.entries.items() if name in names}
        deleted = {name: deletion for name, deletion in self.deleted.items() if name in names}
        return Facts(found, deleted, frozenset(names) - found.keys() - deleted.keys())


def entry(name, *, online=True):
    fields = {
        "safename": name,
        "product_id": "id",
        "s3_path": f"/eodata/there/{name}",
        "size_bytes": 7,
        "md5": None,
        "online": online,
    }
    known = CatalogueEntry.__dataclass_fields__
    return CatalogueEntry(**{key: fields.get(key) for key in known})


def resolve(lab, name, catalogue, **wish):
    number = products.add(lab.db, lab.clock, Wish(name, "default", 0, None, **wish))
    resolver = Resolver(lab.db, lab.clock, catalogue, lab.process)
    assert resolver.resolve_some()
    assert not resolver.resolve_some()
    return products.get(lab.db, number)


def test_the_listings_path_is_believed_without_asking(lab):
    catalogue = Catalogue()
    product = resolve(lab, GRD, catalogue, s3_path="/eodata/mine")
    assert (product.state, product.s3_path, product.path_source) == (State.READY, "/eodata/mine", PathSource.LISTING)
    assert catalogue.asked == []


def test_a_name_that_tells_its_place_asks_nobody(lab):
    catalogue = Catalogue()
    product = resolve(lab, GRD, catalogue)
    assert (product.state, product.path_source, catalogue.asked) == (State.READY, PathSource.NAME, [])
    assert product.s3_path.endswith(f"/2024/06/04/{GRD}")


def test_other_names_ask_the_catalogue(lab):
    product = resolve(lab, S3, Catalogue(**{S3: entry(S3)}))
    assert (product.state, product.path_source, product.size_bytes) == (State.READY, PathSource.CATALOGUE, 7)


def test_a_refuted_path_is_not_guessed_again(lab):
    product = resolve(lab, GRD, Catalogue())
    with lab.db.write():
        claimed = products.claim_ready(lab.db, lab.clock, product.id, lab.process)
    products.move(lab.db, lab.clock, claimed, Move(State.QUEUED, cause="x", refute_path=True))
    catalogue = Catalogue(**{GRD: entry(GRD)})
    assert Resolver(lab.db, lab.clock, catalogue, lab.process).resolve_some()
    assert products.get(lab.db, product.id).s3_path == f"/eodata/there/{GRD}"


def test_what_the_catalogue_does_not_know_is_missing_with_its_cause(lab):
    product = resolve(lab, S3, Catalogue())
    assert (product.state, product.attempts) == (State.MISSING, 0)
    assert "not in the catalogue" in product.cause


def test_what_is_offline_is_missing_with_what_to_do(lab):
    product = resolve(lab, S3, Catalogue(**{S3: entry(S3, online=False)}))
    assert product.state is State.MISSING
    assert "offline" in product.cause


def test_what_was_deleted_is_missing_with_the_cause_that_cdse_gives(lab):
    catalogue = Catalogue()
    catalogue.deleted[S3] = Deletion(S3, "id", "Duplicated product", datetime(2025, 3, 1, tzinfo=UTC))
    product = resolve(lab, S3, catalogue)
    assert (product.state, product.attempts) == (State.MISSING, 0)
    assert product.cause == "CDSE deleted it on 2025-03-01: Duplicated product"


def test_a_misspelt_name_is_missing_with_what_is_wrong_with_it(lab):
    product = resolve(lab, S3.replace("_PS1_", "_PS1__"), Catalogue())
    assert product.cause.startswith("not in the catalogue; perhaps misspelt: class ")


def test_while_the_catalogue_is_down_products_wait_uncharged_and_those_that_need_it_not_do_not(lab):
    catalogue = Catalogue(**{S3: entry(S3)})
    catalogue.down = True
    products.add(lab.db, lab.clock, Wish(GRD, "default", 0, None))
    waiting = resolve(lab, S3, catalogue)
    assert (waiting.state, waiting.attempts) == (State.WAITING, 0)
    assert products.find(lab.db, GRD).state is State.READY
    catalogue.down = False
    lab.clock.pass_s(60)
    products.wake_due(lab.db, lab.clock)
    assert Resolver(lab.db, lab.clock, catalogue, lab.process).resolve_some()
    assert products.get(lab.db, waiting.id).state is State.READY
