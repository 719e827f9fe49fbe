#!/bin/sh
# odata-query 0.10.0 (its newest) cannot be installed from wheels alone: it asks for sly>=0.4,<0.5, and sly has a wheel
# for 0.5 only. So a lock that names nothing but wheels fails, and without build isolation setuptools has to be there.
# Seen with pip 25.3 on Python 3.11: "No matching distribution found for sly<0.5,>=0.4"; without --only-binary it works.
# Exits with 0 while that is so.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip="$work/venv/bin/python -m pip --disable-pip-version-check"
$pip install --quiet 'pip==25.3'

if $pip download --quiet --only-binary=:all: --dest "$work/wheels" 'odata-query==0.10.0' 2> "$work/errors"; then
    echo "changed: odata-query 0.10.0 comes with wheels alone"
    exit 1
fi
grep 'No matching distribution found for sly' "$work/errors" || { cat "$work/errors"; exit 1; }
$pip download --quiet --dest "$work/files" 'odata-query==0.10.0'
ls "$work/files"
ls "$work/files" | grep -q '^sly-0\.4\.tar\.gz$'
