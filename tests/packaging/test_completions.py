"""The completions are generated from the parsers, and the shells take them."""

import shutil
import subprocess

import pytest

from cdsed.cli.completion import FILES
from tests.packaging.completions import FOLDER, script
from tests.support.building import ROOT

IN_BASH = """
source cdsed/completions/cdsed.bash
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
eval "$(complete -p cdsed | sed 's/.*-F \\([^ ]*\\) .*/\\1/') cdsed '${@: -1}' '${@: -2:1}'"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def in_bash(*words: str) -> list[str]:
    command = ["bash", "-c", IN_BASH, "bash", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()


def in_fish(line: str) -> list[str]:
    command = ["fish", "--no-config", "-c", f'source cdsed/completions/cdsed.fish; complete -C "{line}"']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [each.split("\t")[0] for each in done.stdout.splitlines()]


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"there is no {shell}")


@pytest.mark.parametrize("shell", FILES)
def test_what_is_shipped_is_what_the_parsers_say(shell):
    assert (FOLDER / FILES[shell]).read_text("utf-8") == script(shell), "run: make docs"


@needs("bash")
def test_bash_completes_commands_options_choices_and_files():
    assert in_bash("cdsed", "sta") == ["status", "state"]
    assert "--json" in in_bash("cdsed", "status", "--")
    assert in_bash("cdsed", "completion", "z") == ["zsh"]
    assert in_bash("cdsed", "state", "b") == ["backup"]
    assert in_bash("cdsed", "run", "--config", "etc/cds") == ["etc/cdsed.yml"]


@needs("fish")
def test_fish_completes_commands_choices_and_files():
    assert in_fish("cdsed sta") == ["state", "status"]
    assert in_fish("cdsed completion z") == ["zsh"]
    assert in_fish("cdsed run --config etc/cds") == ["etc/cdsed.yml"]


@needs("zsh")
def test_zsh_can_read_them():
    subprocess.run(["zsh", "-n", FOLDER / FILES["zsh"]], check=True)
