from hypothesis import given
from hypothesis import strategies as st

from cdsed.view.table import Column, table
from cdsed.view.terminal import Canvas, columns

HEADS = [Column(shrinks_to=8), Column(rank=2), Column(rank=1, right=True)]
ROWS = [["S1A_IW_GRDH_1SDV_20240604.SAFE", "default", "7"], ["b", "lops", "1 234"]]


def test_without_a_terminal_nothing_is_cut() -> None:
    assert table(Canvas(), HEADS, ROWS) == [
        "  S1A_IW_GRDH_1SDV_20240604.SAFE  default      7",
        "  b                               lops     1 234",
    ]


def test_a_narrow_terminal_loses_the_column_of_the_highest_rank_first() -> None:
    assert table(Canvas(width=18), HEADS, ROWS) == ["  S1A_…SAFE      7", "  b          1 234"]
    assert table(Canvas(width=11), HEADS, ROWS) == ["  S1A_…SAFE", "  b"]


def test_names_shrink_before_they_wrap() -> None:
    assert all(columns(line) <= 30 for line in table(Canvas(width=30), HEADS, ROWS))


def test_empty_columns_take_no_room() -> None:
    assert table(Canvas(), HEADS, [["a", "", "7"], ["b", "", "8"]]) == ["  a  7", "  b  8"]


def test_a_name_cannot_do_anything_to_the_terminal() -> None:
    assert table(Canvas(), [Column()], [["a\x1b]0;gotcha\x07\nb"]]) == ["  a ]0;gotcha  b"]


@given(
    st.integers(min_value=12, max_value=120),
    st.lists(st.tuples(st.text(max_size=60), st.text(max_size=12), st.text(max_size=3)), min_size=1, max_size=5),
)
def test_no_line_is_wider_than_the_terminal(width: int, rows: list[tuple[str, str, str]]) -> None:
    assert all(columns(line) <= width for line in table(Canvas(width=width), HEADS, rows))
