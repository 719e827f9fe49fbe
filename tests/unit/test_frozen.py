"""Immutable values are what frozen dataclasses with slots are."""

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any

import pytest

from cdsed.frozen import compile_all, frozen


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    sizes: dict[str, int] = field(default_factory=dict)
    at: float | None = None


@frozen
class Value:
    """The same, made by `frozen`."""

    name: str
    sizes: dict[str, int] = field(default_factory=dict)
    at: float | None = None


@frozen
class Other:
    """Another class with the same content."""

    name: str


def test_a_value_does_what_a_frozen_dataclass_does() -> None:
    for made in (Model, Value):
        first: Any = made("x", {"a": 1})
        assert first == made("x", {"a": 1}, at=None) != replace(first, at=1.0)
        assert repr(first) == f"{made.__name__}(name='x', sizes={{'a': 1}}, at=None)"
        assert asdict(first) == {"name": "x", "sizes": {"a": 1}, "at": None}
        assert [each.name for each in fields(first)] == ["name", "sizes", "at"]
        assert first == copy.deepcopy(first) == pickle.loads(pickle.dumps(first))
        assert not hasattr(first, "__dict__")
        with pytest.raises(TypeError):
            hash(first)
        with pytest.raises(TypeError):
            made()
    assert Value("x").sizes is not Value("x").sizes


@pytest.mark.parametrize("name", ["name", "at", "unknown"])
def test_no_field_is_set_again_or_deleted(name: str) -> None:
    value = Value("x")
    with pytest.raises(FrozenInstanceError):
        Value.__setattr__(value, name, "y")
    with pytest.raises(FrozenInstanceError):
        delattr(value, name)
    assert value == Value("x")


def test_values_of_two_classes_differ_and_equal_ones_have_one_hash() -> None:
    assert Other("x") != Value("x")
    assert len({Other("x"), Other("x"), Other("y")}) == 2


@frozen
class Counted:
    """What a field may be made of."""

    name: str
    secret: str = field(repr=False)
    size_bytes: int = 0
    note: str = field(default="", compare=False)
    seen: list[str] = field(default_factory=list, init=False)
    length: int = field(init=False)
    last: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "length", len(self.name))


def test_fields_mean_what_they_mean_in_a_dataclass() -> None:
    value = Counted("name", "secret", 3, last=True)
    assert repr(value) == "Counted(name='name', size_bytes=3, note='', seen=[], length=4, last=True)"
    assert value == replace(value, note="not compared") != replace(value, secret="another")
    with pytest.raises(TypeError, match=r"Counted.__init__\(\)"):
        Counted("name")  # type: ignore[call-arg]


def test_the_init_of_a_class_is_compiled_when_it_is_needed_or_before_a_fork() -> None:
    @frozen
    class Needed:
        name: str

    @frozen
    class Inherited:
        name: str

    Needed("x")
    compiled = Needed.__init__
    compile_all()
    assert Needed.__init__ is compiled
    inherited = Inherited.__init__
    assert Inherited("y").name == "y"
    assert Inherited.__init__ is inherited
