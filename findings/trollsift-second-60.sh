#!/usr/bin/env bash
# trollsift cannot parse a name of Sentinel-3 whose time ends with second 60.
#
# trollsift 1.0.2. Real names hold such times: the end of this SRAL product is T234060. The pattern is the one of the
# format, with dates as satpy's readers write them. validate() says that the name does not fit, and parse() raises
# ValueError from datetime, which knows no second 60: the pattern
# finds the fields and their values cannot be kept.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check trollsift==1.0.2
cd "$work"
"$work/venv/bin/python" - <<'EOF'
from trollsift import Parser

NAME = "S3A_SR_2_LAN____20161231T225041_20161231T234060_20170704T185629_3019_012_343______LR1_R_NT_002.SEN3"
PATTERN = "{mission:3s}_{kind:11s}_{start:%Y%m%dT%H%M%S}_{end:%Y%m%dT%H%M%S}_{made:%Y%m%dT%H%M%S}_{rest:s}.SEN3"

parser = Parser(PATTERN)
usual = parser.parse(NAME.replace("T234060", "T234059"))
fits = parser.validate(NAME)
try:
    parser.parse(NAME)
    said = "parsed"
except ValueError as error:
    said = str(error)
print("with second 59:", usual["end"], " with second 60: validate", fits, "- parse:", said)
assert usual["end"].second == 59
assert not fits
assert "second" in said and said != "parsed", said
EOF
