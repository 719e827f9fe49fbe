"""docs/console-scripts.md says for every option of cdsodatacli's console scripts what to use instead."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs/console-scripts.md").read_text(encoding="utf-8")

OPTIONS = {
    "queryCDS": (
        "--verbose --collection --startdate --stopdate --mode --product --querymode --geometry --id_query --email "
        "--password --top --output-safe-listing --safename-pattern --cache-dir --minimum-sea-percent --checkpoint-dir "
        "--batch-size"
    ),
    "downloadMultiThreadMultiUserS3": (
        "--verbose --forcedownload --logingroup --listing --outputdir --cdsodatacli_conf_file --s3pathretrievalmethod"
    ),
    "countProductsLocally": (
        "--outputdir --cdsodatacli_conf_file --list_safename --loglevel --create-listing-2-download --dev"
    ),
    "get-odata-ids": "--verbose --output-listing --input-listing --email --password --cdsodatacli_conf_file",
    "get-metadata-from-product-names": (
        "--input-listing --output -o --batch-size --max-workers --timeout --cache-dir --no-cache --checkpoint-dir "
        "--email --password --verbose -v --dev"
    ),
    "match_s1_prodtypes": "--safe --input-listing --prodtype --output --checkpoint-dir --dev --verbose -v",
    "cds-s1-daily-metadata": (
        "--start-date --stop-date --outputdir --config-file --log-level --email --password --cache-dir "
        "--checkpoint-dir --batch-size --querymode --max-workers --overwrite"
    ),
}
"""The options of release 2026.10.15."""


def _section(script: str) -> str:
    return PAGE.partition(f"\n## {script}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("script", OPTIONS)
def test_each_option_of_a_script_has_one_row_with_what_to_use_instead(script):
    rows = re.findall(r"^\| `(-[^`]*)` \| (.+) \|$", _section(script), re.MULTILINE)
    assert sorted(option for option, _ in rows) == sorted(OPTIONS[script].split())
    assert re.search(r"^    \$ .*cdsed ", _section(script), re.MULTILINE), "an example is missing"


def test_the_page_has_no_other_script():
    assert re.findall(r"^## (.+)$", PAGE, re.MULTILINE) == list(OPTIONS)
