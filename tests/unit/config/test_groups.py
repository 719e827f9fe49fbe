from pathlib import Path

import pytest

from cdsed.config.groups import GroupSettings, completed
from cdsed.config.settings import Settings
from cdsed.model.layout import ProductLayout
from cdsed.model.listing import ListingHead, ListingOptions

LAYOUT = ProductLayout.parse("{year}")


def test_a_group_has_a_layout_and_a_choice_of_files() -> None:
    groups = Settings.model_validate(
        {"groups": {"lab": {"layout": {"S1": "{unit}", "S2": "{tile}"}, "include": ["*-vv-*"]}, "other": None}}
    ).groups
    assert str(groups["lab"].layout) == "S1:{unit};S2:{tile}"
    assert groups["lab"].include == ("*-vv-*",)
    assert groups["other"] == GroupSettings()


@pytest.mark.parametrize(
    ("group", "complaint"),
    [
        ({"layout": "{tiles}"}, "groups.lab.layout.*has no field {tiles}; there are"),
        ({"layout": "../x"}, "groups.lab.layout.*relative path"),
        ({"layout": {"S9": "{year}"}}, "groups.lab.layout.*has no family 'S9'; there are S1"),
        ({"layout": 5}, "groups.lab.layout.*template such as"),
        ({"include": ["/x"]}, "groups.lab.include.*leave out the first /"),
        ({"exclude": [5]}, "groups.lab.exclude"),
        ({"excludes": []}, "groups.lab.excludes"),
    ],
)
def test_a_bad_group_is_refused_with_its_key(tmp_path: Path, group: object, complaint: str) -> None:
    with pytest.raises(ValueError, match="(?s)" + complaint):
        Settings.model_validate({"groups": {"lab": group}})


def test_the_first_line_of_a_listing_wins_over_its_group() -> None:
    group = GroupSettings(layout=LAYOUT, exclude=("preview",))
    assert completed(ListingOptions(), None) == ListingOptions()
    assert completed(ListingOptions(), group) == ListingOptions(layout=LAYOUT, exclude=("preview",))
    own = ListingOptions(layout=ProductLayout.parse("."), include=("*",))
    assert completed(own, group) == own
    head = ListingHead(0, "x", "", "", 0, None, taken_at=0.0, user=None).asking(own, "lab", "ab")
    assert (head.layout, head.choice, head.group) == (None, None, "lab")
