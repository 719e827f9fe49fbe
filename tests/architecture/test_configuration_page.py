"""The page of the settings is what the model says, and its examples can be loaded."""

import pytest
import yaml

from cdsed.config.load import load_settings
from cdsed.config.settings import Settings
from tests.architecture.configuration_page import EXAMPLES, PAGE, example, keys, page


def test_docs_configuration_md_is_what_make_docs_writes():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_every_key_has_one_example():
    assert [key for key, _ in keys()] == list(EXAMPLES)


@pytest.mark.parametrize("key", EXAMPLES)
def test_an_example_is_accepted_and_changes_something(key, tmp_path):
    file = tmp_path / "cdsed.yml"
    file.write_text(yaml.safe_dump(example(key)), encoding="utf-8")
    assert load_settings(file, {}) != Settings()
