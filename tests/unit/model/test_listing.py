from cdsed.model.listing import Counts, LineVerdict


def test_the_sum_of_the_counts_is_the_number_of_lines() -> None:
    assert Counts(accepted=1, duplicate=2, known=4, already_present=8, rejected=16, ignored=32).lines == 63


def test_there_is_one_count_for_every_verdict() -> None:
    assert [verdict.value for verdict in LineVerdict] == list(Counts.__slots__)
