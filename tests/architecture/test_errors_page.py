"""The table of failures is what the code raises, and what the documents show."""

import ast

from cdsed.errors import AccountError, DiskError, LeaseLost, MachineError, ProductError, ServiceError, Stopped
from cdsed.work.failure_rules import RULES
from tests.architecture.errors_page import PAGE, page
from tests.architecture.other_failures import OTHER_FAILURES
from tests.architecture.sources import sources

_RAISED = {
    kind.__name__: kind
    for kind in (ProductError, AccountError, ServiceError, DiskError, MachineError, Stopped, LeaseLost)
}
# Diagnosed only after the table has decided; see docs/errors.md, "Diagnose a rejected key".
_DIAGNOSED = {"KeyExpired", "KeyRevoked", "KeyNotYetValid", "KeyUnknown", "WrongSecret", "NoReadPermission"}


def _codes_in_the_code() -> set[tuple[str, str]]:
    """Return (fault domain, code) of every error that is made with a literal code."""
    found = set()
    for source in sources():
        for node in ast.walk(source.tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _RAISED):
                continue
            for keyword in node.keywords:
                if keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
                    found.add((_RAISED[node.func.id].fault_domain.value, keyword.value.value))
    return found


def test_every_code_that_is_raised_stands_in_the_table():
    listed = {(rule.fault_domain.value, code) for rule in (*RULES, *OTHER_FAILURES) for code in rule.codes}
    raised = _codes_in_the_code()
    assert len(raised) > 25
    # The catalogue uses the codes of its own fault domain, which the rows of S3 name too, and `Refused`.
    missing = raised - listed - {("service", "Refused")}
    assert not {(fault_domain, code) for fault_domain, code in missing if code not in _DIAGNOSED}


def test_every_domain_has_a_row_for_any_other_code_or_only_two_codes():
    for fault_domain in {rule.fault_domain for rule in RULES}:
        rows = [rule for rule in RULES if rule.fault_domain is fault_domain]
        assert not rows[-1].codes or fault_domain.value == "none", fault_domain
        assert all(rule.codes for rule in rows[:-1]), f"{fault_domain}: rows below *any other* are never reached"


def test_no_code_stands_twice_in_one_domain():
    listed = [(rule.fault_domain, code) for rule in RULES for code in rule.codes]
    assert len(listed) == len(set(listed))


def test_docs_errors_md_is_what_make_docs_writes():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"
