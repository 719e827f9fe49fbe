#!/usr/bin/env bash
# odata-query forgets the namespace of a type in a path, so a wrong one looks like a right one.
#
# odata-query 0.10.0. The catalogue of CDSE filters attributes by Attributes/OData.CSC.StringAttribute/any(...). The syntax
# tree of that and of Foo.Bar.StringAttribute are equal: the type is Attribute(..., attr="StringAttribute") in both. The
# namespace of a function (OData.CSC.Intersects) is kept.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check odata-query==0.10.0
cd "$work"
"$work/venv/bin/python" - <<'EOF'
from odata_query.grammar import ODataLexer, ODataParser


def tree(text):
    return ODataParser().parse(ODataLexer().tokenize(text))


FILTER = "Attributes/{0}.StringAttribute/any(att:att/Name eq 'productType' and att/{0}.StringAttribute/Value eq 'IW_GRDH_1S')"
right, wrong = tree(FILTER.format("OData.CSC")), tree(FILTER.format("Foo.Bar"))
function = tree("OData.CSC.Intersects(area=geography'SRID=4326;POINT(1 2)')")
print("owner of the lambda:", right.owner)
print("the trees of OData.CSC and of Foo.Bar are equal:", right == wrong)
print("namespace of the function:", function.func.namespace)
assert right == wrong
assert right.owner.attr == "StringAttribute"
assert function.func.namespace == ("OData", "CSC")
EOF
