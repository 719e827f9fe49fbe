"""A role is known wherever it has to be: to the command, to its code, to the daemon, and to what counts downloaders."""

import ast
import re
from pathlib import Path

from cdsed.cli.main import parser
from cdsed.config.accounts import Accounts
from cdsed.config.settings import Settings
from cdsed.daemon import child_specs
from cdsed.store.queries import Queries

_ROOT = Path(__file__).parents[2]
_DOWNLOADS = {"download", "publish"}


def _of_the_command() -> set[str]:
    commands = next(action.choices for action in parser()._actions if isinstance(action.choices, dict))
    return set(next(action.choices for action in commands["role"]._actions if action.dest == "role"))


def test_each_role_has_its_code():
    tree = ast.parse((_ROOT / "cdsed" / "roles.py").read_text("utf-8"))
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run_role")
    table = next(node for node in ast.walk(function) if isinstance(node, ast.Dict))
    assert {key.value for key in table.keys} == _of_the_command()


def test_the_daemon_starts_each_role(monkeypatch):
    monkeypatch.setattr("cdsed.daemon.is_wanted", lambda *_: True)
    query = {"name": "s1", "search": {"collection": "SENTINEL-1"}, "every_s": 60.0}
    hook = {"name": "x", "command": ["/bin/true"]}
    settings = Settings(queries=[query], hooks=[hook], web={"listen": "127.0.0.1:8340"}, engine={"kind": "dask"})
    names = [spec.name for spec in child_specs(settings, Accounts({}), Path("/etc/cdsed.yml"))]
    assert {name.partition("-")[0] for name in names} == _of_the_command()


def test_a_role_that_does_not_download_is_not_counted_among_those_that_could_fetch_a_suspect():
    [left_out] = re.findall(r"name NOT IN \('([^)]*)'\)", Queries("suspects").downloaders)
    assert set(left_out.split("', '")) == _of_the_command() - _DOWNLOADS
