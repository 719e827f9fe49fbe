"""The documents do what they show: each example in them is played, and each command they name exists.

A new example is played too. If it cannot run here, it needs an entry in LEFT_OUT.
"""

import argparse
import re
from collections.abc import Iterator

import pytest

from cdsed.cli.main import parser
from tests.packaging.documents import ROOT, Step, documents, spans, steps, unmarked
from tests.packaging.terminal import Terminal
from tests.packaging.transcript import Comparison

LEFT_OUT = {
    r".*\bsudo ": "changes the machine, as root",
    r"systemctl |journalctl ": "needs systemd as process 1",
    r"cdsed status --config /etc/": "asks the daemon of a service",
    r"cdsed status S2A_MSIL1C_20240912T112541": "needs a second daemon: tests/faults/test_two_states.py",
    r"cdsed (pause|resume|drain|cancel|priority|refetch|explain) ": (
        "../faults/test_controls.py::test_each_command_says_what_it_did_or_would_do"
    ),
    r"cdsed retry (--listing week12|--code|'S1A)": "needs products that failed: ../faults/test_retry.py",
    r"ip |getent |cat /etc/|curl -[46] ": "shows the network of the machine",
    r"make deb$": "../machine/test_package.py::test_the_service_is_there_but_neither_enabled_nor_started",
    r"make check$": "is what runs the tests of the architecture",
    r"make demo-cluster$": "../acceptance/test_demo.py::test_the_demo_comes_out_alike_over_three_workers",
    r"make demo$": "test_dist.py::test_with_the_extra_the_demo_comes_out_as_it_has_to",
    r"git pull$": "needs a remote",
    r"chmod g\+r week12.csv$|mv week12.csv /var/": "puts a listing into the inbox of a service",
    r"make test$": "test_in_three_years.py::test_the_two_commands_install_what_the_locks_name_and_demo_no_test_tool",
    r"make dist$": "test_dist.py::test_the_wheel_holds_all_that_an_installation_needs",
    r"make install DESTDIR=": "test_install.py::test_everything_a_user_looks_for_is_laid_down",
    r"python3 -m venv |~/cdsed/bin/pip (un)?install ": "test_dist.py::test_it_answers_without_a_checkout",
}
"""Commands that are not played: the reason, or the test that runs them."""

CONTINUES = dict.fromkeys(("docs/status.md", "docs/troubleshooting.md"), ("docs/tour.md", "kill "))
"""Documents whose examples need what those of another have made, up to a command."""

ALL = {str(path.relative_to(ROOT)): steps(path) for path in documents()}
PLAYED = {
    name: [step for step in found if not any(re.match(each, step.command) for each in LEFT_OUT)]
    for name, found in ALL.items()
}


def before(name: str) -> Iterator[Step]:
    """Return the examples of another document that come first."""
    if name in CONTINUES:
        other, last = CONTINUES[name]
        for step in PLAYED[other]:
            if step.command.startswith(last):
                return
            if not step.command.startswith(("cat /", "cdsed config", "cdsed status S1")):
                yield step


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", [name for name, played in PLAYED.items() if played])
def test_what_a_document_shows_is_what_happens(name, tmp_path):
    with Terminal(tmp_path) as terminal:
        terminal.play([*before(name), *PLAYED[name]])


def test_every_document_with_examples_has_some_that_are_played():
    assert {name for name, found in ALL.items() if found and not PLAYED[name]} <= {
        "CONTRIBUTING.md",
        "docs/controls.md",
    }
    assert sum(map(len, PLAYED.values())) > sum(map(len, ALL.values())) / 2


@pytest.mark.parametrize("pattern", LEFT_OUT)
def test_what_is_left_out_is_there_and_so_is_the_test_that_runs_it(pattern):
    assert [step for found in ALL.values() for step in found if re.match(pattern, step.command)]
    file, _, test = LEFT_OUT[pattern].partition("::")
    assert not test or f"\ndef {test}(" in (ROOT / "tests/packaging" / file).read_text("utf-8")


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_a_prompt(name):
    assert unmarked((ROOT / name).read_text("utf-8")) == []


@pytest.mark.parametrize("name", PLAYED)
def test_a_word_that_differs_from_what_is_shown_is_noticed(name):
    for step in PLAYED[name]:
        printed = "\n".join("" if line.strip() == "…" else line for line in step.shown).replace("…", "x")
        assert Comparison().agrees(step.shown, printed), step
        for line in (line for line in step.shown if line.strip() != "…"):
            for word in re.findall(r"(?<!\w)[a-z]{3,}(?!\w)", line)[:8]:
                altered = printed.replace(word, f"{word}x")
                assert not Comparison().agrees(step.shown, altered), (step, word)


COMMANDS = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)).choices
TARGETS = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def options(command: argparse.ArgumentParser) -> set[str]:
    """Return the options of a command, and of the commands below it."""
    found: set[str] = set()
    for action in command._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                found |= options(below)
    return found


@pytest.mark.parametrize("name", ALL)
def test_a_command_that_the_prose_names_exists_with_its_options(name):
    wrong = []
    for span in spans((ROOT / name).read_text("utf-8")):
        program, *words = span.split(" ")
        if program == "cdsed" and words and not words[0].isupper():
            known = words[0] in COMMANDS or words[0].startswith("-")
            asked = {word.partition("=")[0].rstrip(",") for word in words[1:] if word.startswith("--")}
            if not known or (words[0] in COMMANDS and asked - options(COMMANDS[words[0]])):
                wrong.append(span)
        if program == "make" and words and words[0] not in TARGETS and "=" not in words[0]:
            wrong.append(span)
    assert wrong == []
