import pytest

from cdsed.model.choice import Choice, union

_FILES = {
    "manifest.safe",
    "measurement/s1a-iw1-slc-vv-20240604t110100-001.tiff",
    "measurement/s1a-iw1-slc-vh-20240604t110100-004.tiff",
    "annotation/s1a-iw1-slc-vv-20240604t110100-001.xml",
    "annotation/calibration/noise-s1a-iw1-slc-vv-001.xml",
    "preview/quick-look.png",
    "preview/icons/logo.png",
}


@pytest.mark.parametrize(
    ("include", "exclude", "taken"),
    [
        (["*-VV-*"], [], 4),
        (["measurement"], [], 3),
        (["measurement/"], ["*-vh-*"], 2),
        (["measurement/*-vv-*"], [], 2),
        ([], ["preview"], 5),
        ([], ["preview/*"], 5),
        ([], ["icons"], 6),
        ([], ["preview/icons"], 6),
        ([], ["*.png", "manifest.safe"], 5),
        (["./annotation"], [], 3),
    ],
)
def test_patterns_choose_names_paths_and_directories(include: list[str], exclude: list[str], taken: int) -> None:
    choice = Choice.of(include, exclude)
    assert choice is not None
    chosen = {path for path in _FILES if path == "manifest.safe" or choice.wants(path)}
    assert len(chosen) == taken, chosen
    assert Choice.from_json(choice.to_json()) == choice


@pytest.mark.parametrize("include", [[], ["*"], ["*", "*-vv-*"]])
def test_a_choice_of_everything_is_the_whole_product(include: list[str]) -> None:
    assert Choice.of(include, []) is None


def test_two_choices_together_take_what_either_takes_and_the_whole_contains_both() -> None:
    vv, no_preview = Choice.of(["*-vv-*"], []), Choice.of(["preview"], ["icons"])
    both = union(vv, no_preview)
    assert both is not None
    assert both == union(no_preview, vv) == union(both, vv)
    assert sorted(path for path in _FILES if both.wants(path)) == [
        "annotation/calibration/noise-s1a-iw1-slc-vv-001.xml",
        "annotation/s1a-iw1-slc-vv-20240604t110100-001.xml",
        "measurement/s1a-iw1-slc-vv-20240604t110100-001.tiff",
        "preview/quick-look.png",
    ]
    assert union(vv, None) is union(None, vv) is None


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("", "must be one of paths"),
        ("./", "must be one of paths"),
        ("/measurement", "leave out the first /"),
        ("../x", "leave out '..'"),
        ("a,b", "without a comma"),
        ("a\n", None),
        ("a\0b", "must be one of paths"),
        ("x" * 501, "must be one of paths"),
    ],
)
def test_a_bad_pattern_is_refused_with_the_reason(pattern: str, complaint: str | None) -> None:
    if complaint is None:
        assert Choice.of([pattern], []) == Choice.of(["a"], [])
        return
    with pytest.raises(ValueError, match=complaint):
        Choice.of([pattern], [])


def test_there_may_be_a_hundred_patterns() -> None:
    with pytest.raises(ValueError, match="100 patterns"):
        Choice.of([f"f{number}" for number in range(101)], [])


@pytest.mark.parametrize("text", ["[]", "{}", "[1]", '[{"include": [1], "exclude": []}]', "x"])
def test_a_damaged_text_of_a_choice_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Choice.from_json(text)
