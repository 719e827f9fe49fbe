"""Messages between machines: read strictly, and failures that arrive as they were."""

from dataclasses import fields
from typing import get_args

import pytest

from cdsed.engine.carried_errors import carried, raised
from cdsed.engine.orders import Answer, CarriedError, FetchTask, OtherProductTask, Sent
from cdsed.engine.wire import (
    Ask,
    DownMessage,
    Granted,
    Kill,
    LookFor,
    Mark,
    MarkerSeen,
    Probed,
    Result,
    Task,
    UpMessage,
    Want,
    decode,
    encode,
)
from cdsed.errors import (
    AccountError,
    DiskError,
    Incomplete,
    LeaseLost,
    MachineError,
    OwnedElsewhere,
    ProductError,
    ServiceError,
    Stopped,
    TransferError,
)
from cdsed.model.eodata import S3Location
from cdsed.model.objects import Digests, ListedObject, Piece

_PIECE = Piece(1, 2, "k", "p", "e", 4, 0, 4, 0, 0)
_FAILURE = CarriedError("ServiceError", "it broke", "503", 2.5)


@pytest.mark.parametrize(
    "message",
    [
        Want("pilot.1", 3, 0),
        Kill("pilot.1"),
        LookFor("pilot", "check-1", ("/spool/.cdsed/check-1",), 60.0),
        Probed("pilot", "check-1", (MarkerSeen(0.1, ""), MarkerSeen(None, ""))),
        Granted("pilot.1", 3, 9, "a", 30.0, None),
        Mark("pilot.1", 9, 1, 3, (Digests("a", None, "b"),), 2**40, Sent(2, 2**40)),
        Ask("pilot.1", 9, 1, 2),
        Task("pilot.1", 9, 1, 2, FetchTask("eodata", "/spool/.cdsed/X", "X", "state", (_PIECE, _PIECE), 2.0)),
        Task("pilot.1", 9, 1, 1, OtherProductTask(S3Location("eodata", "X"), None)),
        Result("pilot.1", 9, 1, Answer(listed=(ListedObject("k", "p", 3, "e"),)), Sent()),
        Result("pilot.1", 9, 1, Answer(digests=(Digests("a", None, "b"), Digests())), Sent()),
        Result("pilot.1", 9, 1, Answer(failure=_FAILURE, failed=True), Sent()),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_arrives_as_it_was_on_one_line(message):
    line = encode(message)
    assert "\n" not in line
    assert decode(line) == message


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[1]",
        '{"kind":"unknown"}',
        '{"kind":"want","nonce":"n","seq":1}',
        '{"kind":"want","nonce":"n","seq":"1","ended":0}',
        '{"kind":"want","nonce":"n","seq":1,"ended":0,"more":1}',
        '{"kind":"want","nonce":"n","seq":1,"ended":0}{}',
        '{"kind":"task","nonce":"n","fence":1,"number":1,"requests":1,"order":{"what":"run","command":"x"}}',
    ],
)
def test_anything_else_is_refused_without_its_content(line):
    with pytest.raises(MachineError) as refused:
        decode(line)
    assert refused.value.code == "Message"
    assert "command" not in str(refused.value)


def test_no_message_has_a_field_for_a_secret():
    named = {each.name for kind in get_args(UpMessage) + get_args(DownMessage) for each in fields(kind)}
    assert not [name for name in named if "key" in name or "secret" in name or "token" in name or "login" in name]


@pytest.mark.parametrize(
    "error",
    [
        ProductError("gone", code="NoSuchKey"),
        AccountError("slow down", code="Throttled", retry_after_s=7.0),
        ServiceError("it broke", code="503"),
        DiskError("full", code="ENOSPC", where="/spool/x"),
        MachineError("no descriptor", code="EMFILE"),
        OwnedElsewhere("another state has it"),
        Stopped("enough"),
        LeaseLost("the fence has grown"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failure_arrives_as_it_was(error: TransferError):
    arrived = raised(carried(error))
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert arrived.fault_domain is error.fault_domain
    assert vars(arrived) == vars(error)


def test_a_failure_of_a_subclass_keeps_its_fault_domain():
    assert type(raised(carried(Incomplete("rows are missing")))) is ServiceError


def test_an_unknown_failure_is_charged_to_no_product():
    assert isinstance(raised(CarriedError("Surprise", "?", "X")), MachineError)
