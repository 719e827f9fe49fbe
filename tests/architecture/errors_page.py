"""Write docs/errors.md, what follows from each failure, from the table in `cdsed.work.failure_rules`: ``make docs``."""

from pathlib import Path

from cdsed.errors import FaultDomain
from cdsed.model.advice import ADVICE, ADVICE_OTHERWISE
from cdsed.work.failure_rules import RULES
from tests.architecture.other_failures import OTHER_FAILURES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"

_TITLES = {
    FaultDomain.PRODUCT: "The product",
    FaultDomain.ACCOUNT: "The account",
    FaultDomain.SERVICE: "The service, or the network",
    FaultDomain.DISK: "A disk",
    FaultDomain.MACHINE: "The machine",
    FaultDomain.BUG: "A bug",
    FaultDomain.NONE: "Not a failure",
}

_HEAD = """\
# Error codes: what failed, and what follows

Generated from `cdsed/work/failure_rules.py` by `make docs`. Tests check that it is equal, and try every row.

A *code* is a short word that does not change. You find it in `cdsed status`, in its JSON, and in the history
of a product. To see one, start a [sandbox](sandbox.md) in another terminal, and ask for a product that does not exist:

    $ cdsed sandbox --port 8333 --write /tmp/tour
    …
    $ export CDSED_CONFIG=/tmp/tour/cdsed.yml
    $ echo S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_05417_069690_E33E.SAFE | cdsed add -
    …
    $ cdsed run --once; echo $?
    …
    1
    $ cdsed status
    …
    LAST ERRORS  what to do: `cdsed status --failed`
    ✕ 1  unavailable  NotInCatalogue  e.g. S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_05417_069690_E33E.SAFE
          not in the catalogue; perhaps misspelt: orbit '05417' should be six digits
    …

Only failures charged to the product use up its attempts (6, `retry.attempts`). For everything else the product waits,
and it is never dropped for good. You can start products again:

    $ cdsed retry --unavailable
    1 product started again: 1 unavailable
      S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_05417_069690_E33E.SAFE  was unavailable, is queued

*Any other* is the row for every code that the rows above it do not name.
"""

_TAIL = """
## Diagnose a rejected key

S3 returns the same code, `InvalidAccessKeyId`, for keys that are wrong, too new, expired or revoked. At times CDSE also
refuses everything to an expired key (`AccessDenied`). cdsed looks at what the key has done so far, and shows you the
diagnosis in `cdsed status --json`:

    "error_code": "KeyRevoked"

| code | S3's code | what cdsed knows |
|---|---|---|
| `KeyExpired` | `InvalidAccessKeyId`, `AccessDenied` for everything | `s3_key_expires` is past |
| `KeyExpired` | `ExpiredToken` | |
| `KeyRevoked` | `InvalidAccessKeyId`, `AccessDenied` for everything | it worked before. The text says until when |
| `KeyNotYetValid` | `InvalidAccessKeyId` | it never worked, and is younger than 10 min: tried again each minute |
| `KeyUnknown` | `InvalidAccessKeyId` | it never worked, and is older |
| `WrongSecret` | `SignatureDoesNotMatch` | the secret does not fit. The text says until when it did |
| `NoReadPermission` | `AccessDenied` for everything | it never worked |
| `Refused` | `AccessDenied` for one product | the same key may list other things. Final only after a day |

If you put another key into the accounts file, the diagnosis starts again. The state keeps only sixteen bits of a digest
of the key.

## Bad copies

cdsed fetches again only the objects that are bad. What is charged depends on what an object differs from:

- An object that differs from its own ETag was damaged on the way (`Damaged`). The ETag of an object in one part is its
  MD5, so the service has the right bytes. The product is not charged, up to five such copies of the same object. From
  the sixth on the rules below apply.
- An object that equals its ETag, but not the manifest or the catalogue's MD5, is the product's fault
  (`VerificationFailed`). A copy that is bad in another way than the one before is one more attempt. After two copies
  that are bad in the same way the source is bad, and the product is *corrupt*.
- A zip with another MD5 than the catalogue states is fetched again (`DamagedZip`), and not charged up to the sixth time
  in a row.

You find the copy of a corrupt product in `.cdsed/quarantine` beside the spool. Report and status give its path.
Quarantine has the newest copy of a product, and ten products per destination. Older ones are removed. Ask for two new
copies with `cdsed retry --corrupt`.

If a file is gone or short although all of it had arrived, its disk has lost it (`Lost`). That is not a bad copy.

## Poison products

A product that three workers crashed over is *failed* (`KilledWorker`), unless it advanced in between. You start it
again with `cdsed retry --failed`.

A crash is one of these:

- a worker ended by SIGSEGV, SIGABRT, SIGBUS, SIGFPE or SIGILL
- a worker exited although it had no order to
- a worker reached its memory limit (`process.rss_max_bytes`)

The first crash may happen while the worker is at several products. All of them are suspects then, and each suspect is
worked on alone: one worker process takes it when it has no other work, and takes nothing else beside it. So the
second and third crash are charged only to the one product that the worker was at. A suspect that advances is cleared. A
product that two workers crashed over is tried again only when no worker has crashed for 5 s (`suspects` backs off).

These ends say nothing about a product, and are not charged:

- SIGKILL and SIGTERM: something outside sent them (an operator, the kernel's OOM killer, the supervisor itself)
- the worker of a supervisor that died too: a power cut, a reboot, `systemctl kill --kill-whom=all`, a stopped container
- a crash together with a worker that was at no product (*intake*, *resolve*, *keys*), less than half a second apart
- a crash together with another download worker: both products are suspects, and neither is charged

The count is in the state, and a restart keeps it.
"""


def page() -> str:
    """Return the page: below each title an action, and the failures that lead to it."""
    lines = [_HEAD]
    for fault_domain, title in _TITLES.items():
        lines.append(f"## {title}\n")
        rows = [
            (rule.action.value.product, rule.action.value.delay, rule.action.value.charged_to, rule.signals, rule.codes)
            for rule in RULES
            if rule.fault_domain is fault_domain
        ]
        rows += [
            (note.product, note.delay, note.charged_to, note.signals, note.codes)
            for note in OTHER_FAILURES
            if note.fault_domain is fault_domain
        ]
        for terms in dict.fromkeys(row[:3] for row in rows):
            product, delay, charged_to = terms
            lines += [f"* The product: {product}.", f"* Retried after: {delay}.", f"* Charged to: {charged_to}.\n"]
            lines += ["| code | what happened | what you do |", "|---|---|---|"]
            lines += [_row(fault_domain, signals, codes) for *same, signals, codes in rows if tuple(same) == terms]
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n" + _TAIL


def _row(fault_domain: FaultDomain, signals: str, codes: tuple[str, ...]) -> str:
    named = ", ".join(f"`{code}`" for code in codes) or "*any other*"
    advice = ADVICE[codes[0]] if codes else ADVICE_OTHERWISE[fault_domain]
    return f"| {named} | {signals} | {advice} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
