"""The path of a product: from the listing, the name, or the catalogue."""

from datetime import UTC, datetime

import pytest

from cdsed.config.settings import RetrySettings
from cdsed.errors import ProductError, ServiceError
from cdsed.model.catalogue_entry import CatalogueEntry, Deletion, Facts
from cdsed.model.choice import Choice
from cdsed.model.eodata import location_of
from cdsed.model.listing import ProductRequest
from cdsed.model.product_state import PathSource, State
from cdsed.store import breakers, leases, processes, products
from cdsed.store.move import Move
from cdsed.work.outcome import Outcome
from cdsed.work.requeue import RETRYABLE, requeue_all
from cdsed.work.resolve import Resolver

GRD = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
SEVERAL = [
    f"S3A_SL_0_SLT____20240604T110100_20240604T110400_20240604T130000_0179_113_094_{number:04d}_PS1_O_NR_004.SEN3"
    for number in range(60)
]
S3 = "S3A_SL_0_SLT____20240604T110100_20240604T110400_20240604T130000_0179_113_094_2160_PS1_O_NR_004.SEN3"


class Catalogue:
    """A catalogue that knows what the test says; it stands for a service across the internet."""

    def __init__(self, **entries: CatalogueEntry) -> None:
        self.entries = entries
        self.deleted: dict[str, Deletion] = {}
        self.others: dict[str, tuple[CatalogueEntry, ...]] = {}
        self.down: ServiceError | None = None
        self.spoilt: set[str] = set()
        self.code = ""
        self.questions: list[list[str]] = []

    @property
    def asked(self) -> list[str]:
        return [name for names in self.questions for name in names]

    def look_up(self, names):
        self.questions.append(names)
        if self.down:
            raise self.down
        if self.spoilt & set(names):
            raise ServiceError("no answer for that", code=self.code)
        found = {name: entry for name, entry in self.entries.items() if name in names}
        deleted = {name: deletion for name, deletion in self.deleted.items() if name in names}
        return Facts(found, deleted, frozenset(names) - found.keys() - deleted.keys(), self.others)


def entry(name, *, online=True, **more):
    fields = {
        "name": name,
        "product_id": "id",
        "s3_path": f"/eodata/there/{name}",
        "size_bytes": 7,
        "md5": None,
        "online": online,
    } | more
    known = CatalogueEntry.__dataclass_fields__
    return CatalogueEntry(**{key: fields.get(key) for key in known})


def resolve(lab, name, catalogue, **request):
    number = products.add(lab.db, lab.clock, ProductRequest(name, "default", 0, None, **request))
    resolver = Resolver(lab.db, lab.clock, catalogue, lab.process)
    exhaust(resolver)
    return products.get(lab.db, number)


def exhaust(resolver):
    """Run it until no product is due."""
    for _ in range(99):
        if not resolver.resolve_some():
            return
    raise AssertionError("it continues and on")


def retry(lab):
    assert list(requeue_all(lab.db, lab.clock, RETRYABLE, None)) == []


def reload(lab):
    leases.close_breakers(lab.db)


def boot(lab):
    processes.daemon_started(lab.db, lab.clock, version="1", once=False)
    lab.clock.utc += 3600
    processes.daemon_started(lab.db, lab.clock, version="1", once=False)


def test_the_listings_path_is_believed_without_asking(lab):
    catalogue = Catalogue()
    product = resolve(lab, GRD, catalogue, s3_path="/eodata/mine")
    assert (product.state, product.s3_path, product.path_source) == (State.READY, "/eodata/mine", PathSource.LISTING)
    assert catalogue.asked == []


def test_a_name_that_tells_its_place_sends_no_request(lab):
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
    exhaust(Resolver(lab.db, lab.clock, catalogue, lab.process))
    assert products.get(lab.db, product.id).s3_path == f"/eodata/there/{GRD}"


def test_what_the_catalogue_does_not_know_is_unavailable_with_cause(lab):
    product = resolve(lab, S3, Catalogue())
    assert (product.state, product.attempts) == (State.UNAVAILABLE, 0)
    assert "not in the catalogue" in product.cause


def test_what_is_offline_is_unavailable_with_a_remedy(lab):
    product = resolve(lab, S3, Catalogue(**{S3: entry(S3, online=False)}))
    assert product.state is State.UNAVAILABLE
    assert "offline" in product.cause


def test_what_was_deleted_is_unavailable_with_the_cause_of_cdse(lab):
    catalogue = Catalogue()
    catalogue.deleted[S3] = Deletion(S3, "id", "Duplicated product", datetime(2025, 3, 1, tzinfo=UTC))
    product = resolve(lab, S3, catalogue)
    assert (product.state, product.attempts) == (State.UNAVAILABLE, 0)
    assert product.cause == "CDSE deleted it on 2025-03-01: Duplicated product"


IN_VAIN = "what S3 said, or why it was not asked"


def look_in_vain(lab, number, resolver, code="NotListed"):
    """Let S3 list nothing at the path that was found, and resolve the product again after its pause."""
    with lab.db.write():
        claimed = products.claim_ready(lab.db, lab.clock, number, lab.process)
    nothing = ProductError(IN_VAIN, code=code)
    Outcome(lab.db, lab.clock, RetrySettings()).of_product(nothing, None, claimed)
    due_s = lab.db.value("SELECT due_s FROM product WHERE id = :id", id=number)
    pause = max(0.0, (due_s or 0.0) - lab.clock.boot_s())
    lab.clock.pass_s(pause)
    products.wake_due(lab.db, lab.clock)
    exhaust(resolver)
    return pause


@pytest.mark.parametrize("codes", [["NotListed"] * 2, ["NotListed", "ForeignBucket"], ["ForeignBucket", "NotListed"]])
def test_what_the_catalogue_has_and_s3_does_not_list_is_unavailable_after_two_looks(lab, codes):
    old = datetime.fromtimestamp(lab.clock.utc_s() - 90_000, UTC)
    catalogue = Catalogue(**{S3: entry(S3, published_at=old)})
    product = resolve(lab, S3, catalogue)
    resolver = Resolver(lab.db, lab.clock, catalogue, lab.process)
    assert look_in_vain(lab, product.id, resolver, codes[0]) < 40
    assert lab.state(product.id) is State.READY
    look_in_vain(lab, product.id, resolver, codes[1])
    product = products.get(lab.db, product.id)
    assert (product.state, product.attempts) == (State.UNAVAILABLE, 0)
    said = {"NotListed": f"the catalogue names /eodata/there/{S3}, but there is nothing", "ForeignBucket": IN_VAIN}
    assert product.cause == said[codes[1]]


@pytest.mark.parametrize("comes", [False, True])
def test_a_new_product_that_s3_does_not_list_yet_is_waited_for_with_growing_pauses_for_a_day(lab, comes):
    began = lab.clock.utc_s()
    catalogue = Catalogue(**{S3: entry(S3, published_at=datetime.fromtimestamp(began - 300, UTC))})
    product = resolve(lab, S3, catalogue)
    resolver = Resolver(lab.db, lab.clock, catalogue, lab.process)
    pauses = []
    while lab.state(product.id) is State.READY and not (comes and len(pauses) == 9):
        pauses.append(look_in_vain(lab, product.id, resolver))
    assert len(pauses) < 20
    assert pauses[:6] == pytest.approx([30 * 2**number for number in range(6)], rel=0.21)
    if comes:
        found = products.get(lab.db, product.id)
        assert (found.state, found.attempts, found.s3_path) == (State.READY, 0, f"/eodata/there/{S3}")
    else:
        assert lab.state(product.id) is State.UNAVAILABLE
        assert 86_000 < lab.clock.utc_s() - began < 86_400 + 13_000


def test_of_several_rows_each_path_is_tried_in_turn(lab):
    rows = [entry(S3, product_id=str(number), s3_path=f"/eodata/{number}/{S3}") for number in range(2)]
    catalogue = Catalogue(**{S3: rows[0]})
    catalogue.others = {S3: (rows[1],)}
    product = resolve(lab, S3, catalogue)
    assert product.s3_path == f"/eodata/0/{S3}"
    look_in_vain(lab, product.id, Resolver(lab.db, lab.clock, catalogue, lab.process))
    assert products.get(lab.db, product.id).s3_path == f"/eodata/1/{S3}"


def test_a_product_of_many_rows_is_given_up_only_after_a_look_at_each_of_them(lab):
    old = datetime.fromtimestamp(lab.clock.utc_s() - 90_000, UTC)
    first, *others = (entry(S3, published_at=old, s3_path=f"/eodata/{number}/{S3}") for number in range(4))
    catalogue = Catalogue(**{S3: first})
    catalogue.others = {S3: tuple(others)}
    paths = [resolve(lab, S3, catalogue).s3_path]
    number, resolver = 1, Resolver(lab.db, lab.clock, catalogue, lab.process)
    while look_in_vain(lab, number, resolver) and lab.state(number) is State.READY:
        paths.append(products.get(lab.db, number).s3_path)
    assert paths == [f"/eodata/{number}/{S3}" for number in range(4)]
    assert lab.state(number) is State.UNAVAILABLE


def test_a_product_whose_second_row_is_new_is_waited_for(lab):
    old, new = (datetime.fromtimestamp(lab.clock.utc_s() - age_s, UTC) for age_s in (90_000, 60))
    catalogue = Catalogue(**{S3: entry(S3, published_at=old)})
    catalogue.others = {S3: (entry(S3, published_at=new, s3_path=f"/eodata/new/{S3}"),)}
    product = resolve(lab, S3, catalogue)
    for _ in range(4):
        look_in_vain(lab, product.id, Resolver(lab.db, lab.clock, catalogue, lab.process))
        assert lab.state(product.id) is State.READY


def test_a_product_that_is_published_in_the_future_is_given_up_after_a_day(lab):
    began = lab.clock.utc_s()
    later = datetime.fromtimestamp(began + 10**9, UTC)
    catalogue = Catalogue(**{S3: entry(S3, published_at=later)})
    product = resolve(lab, S3, catalogue)
    while lab.state(product.id) is State.READY:
        look_in_vain(lab, product.id, Resolver(lab.db, lab.clock, catalogue, lab.process))
    assert lab.clock.utc_s() - began < 86_400 + 13_000


def test_a_name_that_the_catalogue_has_without_its_extension_gets_that_path(lab):
    bare = S3.removesuffix(".SEN3")
    product = resolve(lab, S3, Catalogue(**{S3: entry(bare)}))
    assert (product.safename, product.s3_path) == (S3, f"/eodata/there/{bare}")
    assert location_of(product.safename, product.s3_path).key == f"there/{bare}"


def test_a_misspelt_name_is_unavailable_with_its_wrong_field(lab):
    product = resolve(lab, S3.replace("_PS1_", "_PS1__"), Catalogue())
    assert product.cause.startswith("not in the catalogue; perhaps misspelt: class ")


@pytest.mark.parametrize("code", ["Timeout", "BadQuery"])
def test_while_the_catalogue_is_down_nothing_moves_that_needs_it_and_all_else_continues(lab, code):
    catalogue = Catalogue(**{name: entry(name) for name in SEVERAL})
    catalogue.down = ServiceError("the catalogue is out", code=code)
    numbers = [lab.queued(name) for name in SEVERAL]
    resolver = Resolver(lab.db, lab.clock, catalogue, lab.process)
    for _ in range(60):
        exhaust(resolver)
        lab.clock.pass_s(60)
    assert {lab.state(number) for number in numbers} == {State.QUEUED}
    assert lab.db.value("SELECT max(id) FROM event") == len(numbers)
    assert 10 < len(catalogue.questions) < 25
    assert catalogue.questions == [SEVERAL, *([name] for name in SEVERAL[: len(catalogue.questions) - 1])]
    guessable = lab.queued(GRD)
    exhaust(resolver)
    assert lab.state(guessable) is State.READY
    catalogue.down = None
    lab.clock.pass_s(330)
    exhaust(resolver)
    lab.clock.pass_s(7)
    products.wake_due(lab.db, lab.clock)
    exhaust(resolver)
    assert {lab.state(number) for number in numbers} == {State.READY}
    assert lab.db.value("SELECT max(n) FROM (SELECT count(*) AS n FROM event GROUP BY product)") <= 6


def test_a_product_alone_in_the_queue_is_not_moved_while_the_catalogue_is_down(lab):
    catalogue = Catalogue(**{S3: entry(S3)})
    catalogue.down = ServiceError("the catalogue is out", code="Timeout")
    product = resolve(lab, S3, catalogue)
    resolver = Resolver(lab.db, lab.clock, catalogue, lab.process)
    for _ in range(20):
        lab.clock.pass_s(330)
        exhaust(resolver)
    assert (catalogue.questions.count([S3]), lab.db.value("SELECT max(id) FROM event")) == (21, 1)
    assert len(catalogue.questions) == 42, "each time it is asked for another name, too"
    catalogue.down = None
    lab.clock.pass_s(330)
    exhaust(resolver)
    assert lab.state(product.id) is State.READY


def test_a_catalogue_that_asks_for_time_gets_it(lab):
    catalogue = Catalogue(**{S3: entry(S3)})
    catalogue.down = ServiceError("later", code="ServerError", retry_after_s=3000)
    product = resolve(lab, S3, catalogue)
    catalogue.down = None
    resolver = Resolver(lab.db, lab.clock, catalogue, lab.process)
    lab.clock.pass_s(2999)
    exhaust(resolver)
    assert (lab.state(product.id), len(catalogue.questions)) == (State.QUEUED, 1)
    lab.clock.pass_s(2)
    exhaust(resolver)
    assert lab.state(product.id) is State.READY


@pytest.mark.parametrize("lets_try", [retry, reload, boot])
def test_retry_a_reload_and_a_new_boot_let_the_catalogue_be_asked_at_once(lab, lets_try):
    catalogue = Catalogue(**{S3: entry(S3)})
    catalogue.down = ServiceError("later", code="ServerError", retry_after_s=3000)
    product = resolve(lab, S3, catalogue)
    catalogue.down = None
    lets_try(lab)
    exhaust(Resolver(lab.db, lab.clock, catalogue, lab.process))
    assert lab.state(product.id) is State.READY


@pytest.mark.parametrize("code", ["BadQuery", "ServerError", "InvalidResponse"])
def test_names_that_spoil_every_question_wait_alone_and_delay_no_other(lab, code):
    catalogue = Catalogue(**{name: entry(name) for name in SEVERAL})
    catalogue.spoilt, catalogue.code = {SEVERAL[0], SEVERAL[33], SEVERAL[34]}, code
    numbers = [lab.queued(name) for name in SEVERAL]
    resolver = Resolver(lab.db, lab.clock, catalogue, lab.process)
    for _ in range(40):
        exhaust(resolver)
        lab.clock.pass_s(12)
        products.wake_due(lab.db, lab.clock)
    assert [number for number in numbers if lab.state(number) is not State.READY] == [numbers[n] for n in (0, 33, 34)]
    late = lab.queued(S3.replace("_2160_", "_0094_"))
    catalogue.entries[products.get(lab.db, late).safename] = entry(products.get(lab.db, late).safename)
    lab.clock.pass_s(330)
    exhaust(resolver)
    assert lab.state(late) is State.READY
    for _ in range(60):
        lab.clock.pass_s(300)
        products.wake_due(lab.db, lab.clock)
        exhaust(resolver)
    put_aside = [products.get(lab.db, numbers[n]) for n in (0, 33, 34)]
    assert {(product.state, product.attempts) for product in put_aside} == {(State.UNAVAILABLE, 6)}
    assert "no answer for that (attempt 6 of 6)" in put_aside[0].cause


@pytest.mark.parametrize("spoilt", [1, 3])
def test_names_that_the_catalogue_never_answers_end_although_no_other_is_asked_for(lab, spoilt):
    names = SEVERAL[:spoilt]
    catalogue = Catalogue()
    catalogue.spoilt, catalogue.code = set(names), "ServerError"
    numbers = [lab.queued(name) for name in names]
    resolver = Resolver(lab.db, lab.clock, catalogue, lab.process)
    began_s = lab.clock.boot_s()
    while {lab.state(number) for number in numbers} != {State.UNAVAILABLE}:
        exhaust(resolver)
        lab.clock.pass_s(5)
        products.wake_due(lab.db, lab.clock)
        assert lab.clock.boot_s() - began_s < 3600
    late = lab.queued(S3)
    catalogue.entries[S3] = entry(S3)
    exhaust(resolver)
    assert lab.state(late) is State.READY, "the breaker is closed"


def test_names_that_spoilt_questions_before_come_after_all_others_and_take_turns(lab):
    catalogue = Catalogue(**{name: entry(name) for name in SEVERAL})
    catalogue.spoilt, catalogue.code = set(SEVERAL[:3]), "ServerError"
    for name in SEVERAL[:4]:
        lab.queued(name)
    for number, failures in enumerate((4, 4, 2)):
        lab.db.rows(
            "UPDATE product SET transient_failures = :failures WHERE safename = :name",
            failures=failures,
            name=SEVERAL[number],
        )
    resolver = Resolver(lab.db, lab.clock, catalogue, lab.process)
    for _ in range(3):
        resolver.resolve_some()
    assert [names for names in catalogue.questions if names[0] in SEVERAL][:2] == [[SEVERAL[3]], [SEVERAL[2]]]


def test_a_name_that_spoils_questions_never_delays_another_after_its_first_failure(lab):
    catalogue = Catalogue(**{name: entry(name) for name in SEVERAL})
    catalogue.spoilt, catalogue.code = {SEVERAL[20]}, "ServerError"
    for name in SEVERAL[:40]:
        lab.queued(name)
    resolver = Resolver(lab.db, lab.clock, catalogue, lab.process)
    exhaust(resolver)
    for name in SEVERAL[40:]:
        lab.clock.pass_s(30)
        products.wake_due(lab.db, lab.clock)
        number = lab.queued(name)
        exhaust(resolver)
        assert lab.state(number) is State.READY
        assert not breakers.is_open(lab.db, lab.clock, breakers.CATALOGUE)


UUID = "7fa0bb0c-6f5d-4c55-a3a5-4d6b3b1a6f10"


def by_id(lab, catalogue):
    """Request a product by its id alone, and return its number and the resolver."""
    number = products.add(lab.db, lab.clock, ProductRequest(UUID, "default", 0, None, UUID))
    return number, Resolver(lab.db, lab.clock, catalogue, lab.process)


def wake(lab, resolver):
    lab.clock.boot += 100
    products.wake_due(lab.db, lab.clock)
    exhaust(resolver)


def test_a_product_requested_by_its_id_gets_its_name_and_path_from_the_catalogue(lab):
    number, resolver = by_id(lab, Catalogue(**{UUID: entry(S3)}))
    exhaust(resolver)
    product = products.get(lab.db, number)
    assert (product.safename, product.state, product.s3_path) == (S3, State.READY, f"/eodata/there/{S3}")


def test_an_id_that_the_catalogue_does_not_know_is_unavailable(lab):
    number, resolver = by_id(lab, Catalogue())
    exhaust(resolver)
    assert products.get(lab.db, number).state is State.UNAVAILABLE
    assert "not in the catalogue" in products.get(lab.db, number).cause


def end(lab, number, move):
    with lab.db.write():
        claimed = products.claim_ready(lab.db, lab.clock, number, lab.process)
    products.move(lab.db, lab.clock, claimed, move)


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        (Move(State.ALREADY_PRESENT, path="/spool/x"), State.ALREADY_PRESENT),
        (Move(State.FAILED, cause="broken"), State.UNAVAILABLE),
    ],
)
def test_an_id_of_a_product_under_way_waits_for_it_and_ends_as_it_does(lab, ending, state):
    catalogue = Catalogue(**{UUID: entry(GRD)})
    other = resolve(lab, GRD, catalogue)
    number, resolver = by_id(lab, catalogue)
    exhaust(resolver)
    waiting = products.get(lab.db, number)
    assert (waiting.state, waiting.safename) == (State.RETRY_WAIT, UUID)
    assert GRD in waiting.cause
    end(lab, other.id, ending)
    wake(lab, resolver)
    ended = products.get(lab.db, number)
    assert (ended.state, ended.path) == (state, ending.path)
    assert ending.cause is None or ending.cause in ended.cause


def test_an_id_of_a_product_that_ended_earlier_requests_it_once_more(lab):
    catalogue = Catalogue(**{UUID: entry(GRD)})
    other = resolve(lab, GRD, catalogue)
    end(lab, other.id, Move(State.FAILED, cause="broken"))
    number, resolver = by_id(lab, catalogue)
    exhaust(resolver)
    assert products.get(lab.db, other.id).state is State.READY
    end(lab, other.id, Move(State.FAILED, cause="broken again"))
    wake(lab, resolver)
    assert products.get(lab.db, number).state is State.UNAVAILABLE
    assert products.get(lab.db, other.id).state is State.FAILED, "it is requested once only"


def test_an_id_of_a_product_under_way_widens_what_is_fetched_of_it(lab):
    catalogue = Catalogue(**{UUID: entry(GRD)})
    other = resolve(lab, GRD, catalogue)
    lab.db.rows(
        "UPDATE product SET choice = :choice WHERE id = :id", id=other.id, choice=Choice.of(["a"], []).to_json()
    )
    _, resolver = by_id(lab, catalogue)
    exhaust(resolver)
    assert products.get(lab.db, other.id).choice is None
