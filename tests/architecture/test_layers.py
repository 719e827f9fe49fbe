"""Imports point one way, no module is in a cycle, and each library has one owner.

Lazy imports, inside of functions, and those for types count as any other.
"""

import ast
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

import pytest

import cdsed
from tests.architecture.sources import Source, sources

_BASE = {"errors", "clock", "dir_handle", "frozen", "inotify", "log", "logevent", "_version"}
_VALUES = {"model", "config"}
_ADAPTERS = {"store", "local", "inbox", "catalogue", "transfer"}

# What each package may import besides itself, from the bottom upwards: only packages above its line. Give a new
# package a line. "" is cdsed itself.
_MAY_IMPORT = {
    "_version": set(),
    "errors": set(),
    "clock": set(),
    "frozen": set(),
    "dir_handle": {"frozen"},
    "inotify": set(),
    "logflood": set(),
    "logevent": {"errors"},
    "logjournal": set(),
    "log": {"logevent", "logflood", "logjournal"},
    "model": _BASE,
    "config": _BASE | {"model"},
    **dict.fromkeys(_ADAPTERS, _BASE | _VALUES),
    "process": {"errors", "clock", "frozen", "log", "logevent"},
    "credentials": _BASE | _VALUES | {"store", "catalogue", "transfer", "process"},
    "work": _BASE | _VALUES | _ADAPTERS | {"process", "credentials"},
    "engine": _BASE | _VALUES | {"store", "transfer", "process", "credentials", "work"},
    "verification": _BASE | _VALUES | {"store", "local", "inbox", "process", "engine"},
    "schedule": _BASE | _VALUES | _ADAPTERS,
    "view": _BASE | {"model", "store", "process"},
    "web": _BASE | _VALUES | {"store", "catalogue", "process", "view"},
    "roles": _BASE | _VALUES | _ADAPTERS | {"process", "credentials", "work", "engine", "schedule", "web"},
    "daemon": _BASE | _VALUES | _ADAPTERS | {"process", "credentials", "work", "schedule"},
    "sandbox": _BASE,
    "foreground": _BASE | _VALUES | _ADAPTERS | {"process", "view"},
    "api": _BASE | _VALUES | _ADAPTERS | {"view", "foreground"},
    "compat": _BASE | _VALUES | _ADAPTERS | {"process", "credentials", "work", "view", "foreground"},
    "holdings": _BASE | _VALUES | {"store", "catalogue"},
    "doctor": _BASE | _VALUES | _ADAPTERS | {"process", "credentials", "work"},
    "cli": _BASE
    | _VALUES
    | _ADAPTERS
    | {"process", "credentials", "work", "engine", "schedule", "roles", "daemon", "view", "web", "compat", "holdings"}
    | {"doctor", "verification"},
    "__main__": {"cli"},
    "": {"api", "_version"},
}
_MAKES_ITS_OWN_CDSE = ("cdsed.cli.sandbox", "cdsed.cli.demo")
# Of `credentials`, only these may use the state, S3 and processes; commands use the others without a daemon.
_CREDENTIALS_OF_A_DAEMON = {"cdsed.credentials.temporary_keys", "cdsed.credentials.key_diagnosis"}

_OWNERS = {
    "apsw": {"cdsed.store"},
    "boto3": {"cdsed.compat.s3_temporary_access_token"},
    "botocore": {"cdsed.compat.s3_temporary_access_token"},
    "requests": {"cdsed.catalogue.http_client", "cdsed.catalogue.http_connections"},
    "urllib3": {"cdsed.catalogue.http_connections"},
    "logging_journald": {"cdsed.logjournal"},
    "watchdog": {"cdsed.inbox"},
    "ijson": {"cdsed.inbox"},
    "apscheduler": {"cdsed.schedule"},
    "tenacity": {"cdsed.transfer", "cdsed.catalogue"},
    "pydantic": {"cdsed.config", "cdsed.engine.orders", "cdsed.engine.wire", "cdsed.verification.batch_wire"},
    "dask": {"cdsed.engine.dask_client", "cdsed.engine.dask_jobs"},
    "distributed": {
        "cdsed.engine.dask_calls",
        "cdsed.engine.dask_client",
        "cdsed.engine.dask_jobs",
        "cdsed.engine.dask_link",
    },
    "dask_jobqueue": {"cdsed.engine.dask_jobs"},
    "pydantic_core": {"cdsed.config", "cdsed.catalogue.json_body"},
    "yaml": {"cdsed.config"},
    "defusedxml": {"cdsed.model.manifest", "cdsed.model.manifest_footprint", "cdsed.transfer.genuine"},
    "pandas": {"cdsed.catalogue", "cdsed.api", "cdsed.compat", "cdsed.cli.query"},
    "geopandas": {"cdsed.catalogue", "cdsed.api", "cdsed.compat", "cdsed.cli.query"},
    "shapely": {"cdsed.catalogue", "cdsed.api", "cdsed.compat", "cdsed.cli.query", "cdsed.holdings", "cdsed.sandbox"},
    "numpy": {"cdsed.catalogue"},
    "pyarrow": {"cdsed.catalogue", "cdsed.holdings", "cdsed.inbox.formats.parquet"},
    "pystac": {"cdsed.holdings"},
    "tqdm": {"cdsed.view.transfer_bar"},
    "odata_query": {"cdsed.sandbox"},
    "jwt": {"cdsed.sandbox"},
    "cryptography": {"cdsed.sandbox", "cdsed.engine.certificates"},
    "starlette": {"cdsed.web"},
    "uvicorn": {"cdsed.web"},
}
_SOURCES = sources()


def _room(imported: str) -> str:
    return imported.split(".")[1] if "." in imported else ""


def _may(source: Source) -> set[str]:
    allowed = _MAY_IMPORT[source.room] | {source.room}
    if source.room == "credentials" and source.name not in _CREDENTIALS_OF_A_DAEMON:
        return allowed - {"store", "transfer", "process"}
    return allowed | {"sandbox"} if source.name.startswith(_MAKES_ITS_OWN_CDSE) else allowed


@pytest.mark.parametrize("source", _SOURCES, ids=lambda source: source.name)
def test_imports_point_one_way(source):
    ours = {_room(name) for name in source.imports() if name.partition(".")[0] == "cdsed"}
    assert ours <= _may(source)


def test_no_room_may_import_from_further_up():
    below: set[str] = set()
    for room, allowed in _MAY_IMPORT.items():
        assert allowed <= below, room
        below.add(room)
    assert below == {source.room for source in _SOURCES}


def _cycle(modules: Iterable[Source]) -> list[str]:
    """Return the modules of one import cycle, or none.

    That Python loads the packages above a module before it does not count: an ``__init__`` is imported where an import
    names it, or something that it defines.
    """
    named = {source.name: source for source in modules}

    def imported(name: str) -> str:
        return name if name in named or "." not in name else imported(name.rpartition(".")[0])

    graph = {name: {imported(each) for each in source.imports()} - {name} for name, source in named.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_is_in_an_import_cycle():
    assert _cycle(_SOURCES) == []


def test_a_cycle_through_a_lazy_import_is_found():
    texts = {"cdsed.a": "from cdsed.b import x\n", "cdsed.b": "def f():\n    from cdsed import a\n"}
    modules = [Source(name, _SOURCES[0].path, text, ast.parse(text)) for name, text in texts.items()]
    assert set(_cycle(modules)) == set(texts)
    assert _cycle(modules[:1]) == []


@pytest.mark.parametrize("source", _SOURCES, ids=lambda source: source.name)
def test_each_library_has_one_owner(source):
    libraries = {name.partition(".")[0] for name in source.imports()}
    for library in libraries & _OWNERS.keys():
        owners = tuple(_OWNERS[library])
        assert source.name in owners or source.name.startswith(tuple(f"{owner}." for owner in owners)), library


def test_no_room_takes_the_name_of_a_public_function():
    # Python sets the attribute `cdsed.NAME` to a submodule of that name as soon as anything imports it.
    assert not {source.room for source in _SOURCES} & set(cdsed.__all__)


def test_the_rule_catches_a_lazy_import_and_one_for_types():
    text = "if TYPE_CHECKING:\n    import boto3\ndef f():\n    from cdsed.cli import run\n"
    source = Source("cdsed.store.wrong", _SOURCES[0].path, text, ast.parse(text))
    assert {"boto3", "cdsed.cli.run"} <= set(source.imports())
    assert "cli" not in _may(source)
