from tests.architecture.other_tools_page import PAGE, page


def test_the_page_of_other_tools_is_what_cdsed_reads_in_their_outputs():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"
