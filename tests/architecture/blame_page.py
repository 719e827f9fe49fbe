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
| `Refused` | `AccessDenied` for one product | the same key may list other things; final only after a day |

Another key in the accounts file begins a new story. The state keeps sixteen bits of a digest of the key, no more.

## Bad copies

cdsed fetches again only the objects that are bad. Who is charged depends on what an object differs from:

- An object that differs from its own ETag was damaged on the way (`Damaged`). The ETag of an object in one part is its
  MD5, so the service has the right bytes. The product is not charged, up to five such copies of the same object. From
  the sixth on the rules below apply.
- An object that equals its ETag, but not the manifest or the catalogue's MD5, is the product's fault (`BadCopy`). A
  copy that is bad in another way than the one before is one more attempt. After two copies that are bad in the same way
  the source is bad, and the product is *corrupt*.
- A zip with another MD5 than the catalogue states is fetched again (`DamagedZip`), at nobody's expense up to the sixth
  time in a row.

The copy of a corrupt product goes to
`.cdsed/quarantine` beside the spool, where report and status say it lies. Quarantine holds the newest copy of a
product, and ten products per destination; older ones are removed. `cdsed retry --corrupt` asks for two new copies.

A file that is gone or short although all of it had arrived is no copy: its disk has lost it (`Lost`).

## Poison

A product that three workers crashed over is *failed* (`KilledWorker`), unless it advanced in between. `cdsed retry
--failed` starts it again.

A crash is one of these:

- a worker ended by SIGSEGV, SIGABRT, SIGBUS, SIGFPE or SIGILL
- a worker exited although nobody had told it to
- a worker reached its memory limit (`process.rss_max_bytes`)

The first crash may happen while the worker is at several products. All of them are suspects then, and each suspect is
worked on alone: one worker process takes it when it is at nothing else, and takes nothing else beside it. So the
second and third crash are charged only to the one product that the worker was at. A suspect that advances is cleared. A
product that two workers crashed over is tried again only when no worker has crashed for 5 s (`suspects` cools down).

These ends say nothing about a product, and are charged to none:

- SIGKILL and SIGTERM: something outside sent them (an operator, the kernel's OOM killer, the supervisor itself)
- the worker of a supervisor that died too: a power cut, a reboot, `systemctl kill --kill-whom=all`, a stopped container
- a crash together with a worker that was at no product (*intake*, *resolve*, *keys*), less than half a second apart
- a crash together with another download worker: both products are suspects, and neither is charged

The count stands in the state, and a restart keeps it.
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
