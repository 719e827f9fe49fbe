"""docs/servers.md says what the tests try with each S3 server, and of the versions that they have."""

import re
from importlib import import_module

from tests.architecture.servers_page import PAGE, page
from tests.architecture.sources import ROOT
from tests.support.real_servers import CASES, KINDS, MOTO, RCLONE


def test_docs_servers_md_is_what_make_docs_writes():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_each_case_of_the_page_has_its_test():
    tests = (ROOT / "tests/acceptance/test_real_servers.py").read_text("utf-8")
    named = re.findall(r"^@each\((\w+)\)$", tests, re.MULTILINE)
    real_servers = import_module(CASES[0].__module__)
    assert [getattr(real_servers, name) for name in named] == list(CASES)
    assert {name for kind in KINDS for name in kind.not_tried} <= {case.name for case in CASES}


def test_the_page_names_the_version_of_moto_that_the_tests_install():
    assert f"\nmoto=={MOTO.version} " in (ROOT / "requirements-test.lock").read_text("utf-8")


def test_rclone_has_one_version_as_a_server_and_as_a_client():
    assert f"\nrclone-bin=={RCLONE.version}\n" in (ROOT / "tests/peers/requirements.txt").read_text("utf-8")
