from cdsed.model.listing import Counts, LineVerdict, ListingHead, Remark
from cdsed.store import listings
from tests.support.state import StateLab


def test_remarks_come_back_in_the_order_of_their_lines_and_within_them(lab: StateLab) -> None:
    head = ListingHead(0, "storm.txt", "x", "default", 0, None, 0, None)
    listing = listings.begin(lab.db, lab.clock, head, "/x").head.id
    verdicts = [each for each in LineVerdict if each is not LineVerdict.IGNORED]
    wanted = [
        Remark(line, verdict, None if line % 2 else f"S1A_{line}", f"{line} {number}")
        for line in [*range(1, 400), 2**40]
        for number, verdict in enumerate([*verdicts, *verdicts][: 1 + line % 7])
    ] + [Remark(2**41, LineVerdict.DUPLICATE, None, str(number)) for number in range(3000)]
    middle = next(number for number, remark in enumerate(wanted) if remark.line == 200)
    for some in (wanted[:middle], wanted[middle:]):
        listings.count(lab.db, listing, len(some), Counts(), some)
    assert list(listings.remarks(lab.db, listing)) == wanted
