"""docs/servers.md says what the tests try with each S3 server, and of the versions that they have."""

import re

from tests.architecture.servers_page import PAGE, page
from tests.architecture.sources import ROOT
from tests.support.real_servers import CASES, KINDS, MOTO, tried


def test_docs_servers_md_is_what_make_docs_writes():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_each_case_of_the_page_has_its_test():
    tests = (ROOT / "tests/acceptance/test_real_servers.py").read_text("utf-8")
    assert re.findall(r"^@each\((\w+)\)$", tests, re.MULTILINE) == ["WHOLE", "PIECES", "MANY", "WRONG_KEY"]
    assert len(CASES) == 4
    assert len(tried()) + sum(len(kind.not_tried) for kind in KINDS) == len(KINDS) * len(CASES)


def test_the_page_names_the_version_of_moto_that_the_tests_install():
    assert f"\nmoto=={MOTO.version} " in (ROOT / "requirements-test.lock").read_text("utf-8")
