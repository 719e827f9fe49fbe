#!/bin/sh
# shtab 1.13.0 cannot complete a positional argument whose choices are a dictionary: it takes every dictionary for a
# set of subcommands. argparse takes any container, and a dictionary is a common way to map a word to a value.
# Seen on Python 3.11: "AttributeError: '_StoreAction' object has no attribute '_get_subactions'" for bash; a list of the
# same words works. Exits with 0 while that is so.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'shtab==1.13.0'
cat > "$work/try.py" << 'EOF'
import argparse
import sys

import shtab


def completed(choices):
    parser = argparse.ArgumentParser(prog="convert")
    parser.add_argument("format", choices=choices)
    assert parser.parse_args(["csv"]).format == "csv"
    try:
        return "csv" in shtab.complete(parser, shell="bash")
    except AttributeError as error:
        return str(error)


formats = {"csv": 1, "json": 2}
print("list:", completed(list(formats)), "- dictionary:", completed(formats))
sys.exit(not (completed(list(formats)) is True and "_get_subactions" in str(completed(formats))))
EOF
"$work/venv/bin/python" "$work/try.py"
