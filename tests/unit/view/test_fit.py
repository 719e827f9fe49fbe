from hypothesis import given
from hypothesis import strategies as st

from cdsed.view.fit import Block, fit

ROWS = [[f"row {number}", f"  because {number}"] for number in range(5)]


def test_what_fits_is_shown_whole_with_blank_lines_where_there_is_room() -> None:
    blocks = [Block("A", ROWS[:1]), Block("B", ROWS[:1])]
    assert fit(blocks, 6) == ["A", *ROWS[0], "B", *ROWS[0]]
    assert fit(blocks, 7) == ["A", *ROWS[0], "", "B", *ROWS[0]]
    assert fit(blocks, None) == ["A", *ROWS[0], "B", *ROWS[0]]


def test_what_explains_a_row_goes_before_any_row_does() -> None:
    assert fit([Block("A", ROWS)], 6) == ["A", "row 0", "row 1", "row 2", "row 3", "row 4"]


def test_rows_that_are_left_out_are_counted() -> None:
    assert fit([Block("A", ROWS)], 4) == ["A", "row 0", "row 1", "  and 3 more"]


def test_blocks_share_the_lines_and_each_shows_something() -> None:
    assert fit([Block("A", ROWS), Block("B", ROWS)], 7) == [
        "A",
        "row 0",
        "row 1",
        "  and 3 more",
        *fit([Block("B", ROWS)], 3),
    ]
    assert fit([Block("A", ROWS), Block("B  c", ROWS)], 4) == ["A", "row 0", "  and 4 more", "B  5 in all"]


def test_an_urgent_block_comes_before_the_others() -> None:
    assert fit([Block("A", ROWS), Block("", ROWS, urgent=True)], 6) == ["A  5 in all", *(row[0] for row in ROWS)]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.booleans()), max_size=9),
    st.integers(min_value=1, max_value=40),
)
def test_there_are_never_more_lines_than_the_terminal_has(parts: list[tuple[int, bool, bool]], height: int) -> None:
    blocks = [Block("T" if titled else "", ROWS[:1] * rows, urgent=urgent) for rows, titled, urgent in parts]
    assert len(fit(blocks, height)) <= height
