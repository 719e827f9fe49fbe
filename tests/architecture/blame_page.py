"""Write docs/blame.md, whose fault each failure is, from the table in `cdsed.work.blame`: ``make docs``."""

from pathlib import Path

from cdsed.errors import Blame
from cdsed.work.blame import ELSEWHERE, RULES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "blame.md"

_TITLES = {
    Blame.PRODUCT: "The product",
    Blame.ACCOUNT: "The account",
    Blame.SERVICE: "The service, or the way to it",
    Blame.DISK: "A disk",
    Blame.MACHINE: "The machine",
    Blame.BUG: "A bug",
    Blame.NOBODY: "Nobody",
}

_HEAD = """\
# Whose fault a failure is, and what follows

Generated from `cdsed/work/blame.py` by `make docs`; tests hold it equal and try every row. Only failures blamed on the
product spend its attempts (6, `retry.attempts`). Everything else is waited out, and nothing is dropped for good.

A *code* is a short word that does not change: it stands in `cdsed status`, in its JSON, and in the history of a
product. *Any other* is the row for whatever the rows above it do not name.
"""

_TAIL = """
## Keys told apart

S3 has one answer, `InvalidAccessKeyId`, for keys that are wrong, too new, expired or revoked; CDSE refuses an expired
one everything (`AccessDenied`) at times. What the key has done so far says which it is. The code stands in
`cdsed status --json` as `trouble_code`.

| code | S3's word | what we know |
|---|---|---|
| `KeyExpired` | `InvalidAccessKeyId`, `AccessDenied` for everything | `s3_key_expires` is past |
| `KeyExpired` | `ExpiredToken` | |
| `KeyRevoked` | `InvalidAccessKeyId`, `AccessDenied` for everything | it worked before; the text says until when |
| `KeyNotYetValid` | `InvalidAccessKeyId` | it never worked, and is younger than 10 min: tried again each minute |
| `KeyUnknown` | `InvalidAccessKeyId` | it never worked, and is older |
| `WrongSecret` | `SignatureDoesNotMatch` | the secret does not fit; the text says until when it did |
| `NothingAllowed` | `AccessDenied` for everything | it never worked |
| `Refused` | `AccessDenied` for one product | the same key may list other things: the product is not for this account |

Another key in the accounts file begins a new story. The state keeps sixteen bits of a digest of the key, no more.

## Bad copies

What fails verification comes again, and only the objects that are bad. A copy that is bad in another way than the one
before is one more attempt; twice in the same way, and the source is bad: the product is *corrupt*. Its copy goes to
`.cdsed/quarantine` beside the spool, where report and status say it lies. Quarantine holds the newest copy of a
product, and ten products per destination; older ones are removed. `cdsed retry --corrupt` asks for two new copies.

A file that is gone or short although all of it had arrived is no copy: its disk has lost it (`Lost`).

## Poison

A product over which three workers died without its advancing in between is *failed* (`KilledWorker`). What was in
flight in the same worker is suspected too, and clears itself by advancing: suspects are worked on one at a time. A
product that two workers died over is tried again only when no worker has died for 5 s (`suspects` cools down): who
kills workers at random rarely hits the same product a third time then. What remains: such a third hit by chance fails
an innocent product, and `cdsed retry --failed` starts it again. Workers that cdsed itself kills when it stops are
charged to nobody. The deaths stand in the state; a restart forgets none.
"""


def page() -> str:
    """Return the page."""
    lines = [_HEAD]
    for blame, title in _TITLES.items():
        lines += [
            f"## {title}\n",
            "| what happens | code | the product | it goes on after | who pays |",
            "|" + "---|" * 5,
        ]
        for rule in (rule for rule in RULES if rule.blame is blame):
            terms = rule.course.value
            lines.append(_row(rule.signals, rule.codes, terms.product, terms.delay, terms.pays))
        for note in (note for note in ELSEWHERE if note.blame is blame):
            lines.append(_row(note.signals, note.codes, note.product, note.delay, note.pays))
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n" + _TAIL


def _row(signals: str, codes: tuple[str, ...], product: str, delay: str, pays: str) -> str:
    named = ", ".join(f"`{code}`" for code in codes) or "*any other*"
    return f"| {signals} | {named} | {product} | {delay} | {pays} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
