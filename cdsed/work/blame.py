"""The one table of failures: whose fault each is, what becomes of the product, when it goes on, and who pays.

`RULES` holds what befalls a transfer: `cdsed.work.outcome` looks every error up in it and carries out its course.
`ELSEWHERE` holds what other rooms decide by themselves. ``docs/blame.md`` is generated from both.
"""

from dataclasses import dataclass

from cdsed.errors import Blame, TransferError
from cdsed.work.course import Course


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: errors of a blame with one of these codes (none given: any other) take this course.

    ``never_charged``: not even the sixth in a row is an attempt, for no product can be why it happens.
    """

    blame: Blame
    codes: tuple[str, ...]
    signals: str
    course: Course
    never_charged: bool = False


RULES = (
    Rule(
        Blame.PRODUCT, ("NotListed",), "S3 lists nothing at its path, and says `NoSuchKey` of it", Course.ASK_CATALOGUE
    ),
    Rule(Blame.PRODUCT, ("NoSuchKey",), "404 or 410 `NoSuchKey` for an object that was listed", Course.ATTEMPT),
    Rule(
        Blame.PRODUCT,
        ("Changed",),
        "412, 416 in the words of S3, or an object with another ETag than was listed",
        Course.ATTEMPT,
    ),
    Rule(Blame.PRODUCT, ("NotOnline",), "403 `InvalidObjectState`: the object is in an archive", Course.ATTEMPT),
    Rule(
        Blame.PRODUCT, ("Refused",), "403 `AccessDenied`, though the same key lists other things", Course.OTHER_ACCOUNT
    ),
    Rule(
        Blame.PRODUCT,
        ("UnsafePath",),
        "a key or a zip member that leads out of the product, names a file twice, or would fill the disk",
        Course.GIVE_UP,
    ),
    Rule(
        Blame.PRODUCT,
        ("ZipRefused",),
        "the zipper: 400, 404, 422 and other 4xx, with a code `DAT-ZIP-…`",
        Course.ATTEMPT,
    ),
    Rule(
        Blame.PRODUCT,
        ("VerificationFailed",),
        "verification: a size, the catalogue's MD5 or an entry of the manifest does not fit, or a zip "
        "is broken at its source. Only what is bad is fetched again: see below",
        Course.ATTEMPT,
    ),
    Rule(Blame.PRODUCT, ("Incomplete",), "verification: the manifest names what S3 does not list", Course.ATTEMPT),
    Rule(
        Blame.PRODUCT,
        ("ENAMETOOLONG", "EILSEQ", "EINVAL", "EFBIG", "EOVERFLOW"),
        "its file system cannot hold a file of that name or size",
        Course.ATTEMPT,
    ),
    Rule(Blame.PRODUCT, (), "any other fault of the product", Course.ATTEMPT),
    Rule(Blame.ACCOUNT, ("Throttled",), "429, 509, the zipper's *max session number*", Course.COOL_ACCOUNT),
    Rule(
        Blame.ACCOUNT,
        ("ThrottledElsewhere",),
        "429, 509 not in the service's words: perhaps a proxy asks for less; no other user of the account is suspected",
        Course.COOL_ACCOUNT,
    ),
    Rule(
        Blame.ACCOUNT,
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "AccessDenied"),
        "401 or 403 with this code (`AccessDenied`: for everything this key asks): diagnosed, see below",
        Course.COOL_ACCOUNT,
    ),
    Rule(Blame.ACCOUNT, ("InvalidToken",), "the session token is not valid", Course.COOL_ACCOUNT),
    Rule(Blame.ACCOUNT, ("RequestTimeTooSkewed",), "this machine's clock is wrong", Course.COOL_ACCOUNT),
    Rule(Blame.ACCOUNT, ("UserSuspended", "AccountProblem"), "CDSE has locked the account", Course.COOL_ACCOUNT),
    Rule(Blame.ACCOUNT, (), "any other fault of the account", Course.COOL_ACCOUNT),
    Rule(Blame.SERVICE, ("ConnectionLost",), "refused, reset or closed connections", Course.SET_BACK),
    Rule(Blame.SERVICE, ("Unreachable",), "no route, network down, forbidden by a firewall here", Course.SET_BACK),
    Rule(Blame.SERVICE, ("NoAddress",), "the name cannot be resolved", Course.SET_BACK),
    Rule(Blame.SERVICE, ("Certificate", "TLS"), "TLS fails, or the certificate is not trusted", Course.SET_BACK),
    Rule(Blame.SERVICE, ("Timeout", "TooSlow"), "no answer in time, 408, less than the minimum rate", Course.SET_BACK),
    Rule(Blame.SERVICE, ("TruncatedBody",), "an answer that ends early", Course.SET_BACK),
    Rule(Blame.SERVICE, ("DamagedZip",), "a zip with another MD5 than the catalogue states", Course.SET_BACK),
    Rule(
        Blame.SERVICE,
        ("Damaged",),
        "verification: an object differs from its own ETag, or on the disk from what arrived",
        Course.REFETCH,
    ),
    Rule(
        Blame.SERVICE,
        ("InvalidResponse",),
        "no valid HTTP or S3: an error under status 200, a listing that is cut off or cannot be read, 204",
        Course.SET_BACK,
    ),
    Rule(
        Blame.SERVICE,
        ("UnexpectedObject",),
        "200 or 206 without the ETag, length or range asked for, such as an error page under status 200. Never an "
        "attempt, however often",
        Course.SET_BACK,
        never_charged=True,
    ),
    Rule(
        Blame.SERVICE,
        ("ProxyResponse",),
        "a response that is not the service's own: a page, JSON, nothing or another list in place of a list or a "
        "zip, or 401, 403, 404, 407, 410, 412, 416, 451 not in its words. A proxy, a firewall. Never an attempt, "
        "however often",
        Course.SET_BACK,
        never_charged=True,
    ),
    Rule(
        Blame.SERVICE,
        ("Redirected",),
        "3xx: another address or region, a login page. Never followed, and never an attempt, however often",
        Course.SET_BACK,
        never_charged=True,
    ),
    Rule(
        Blame.SERVICE,
        ("BadRequest",),
        "400, 405, 411 and other 4xx, 404 `NoSuchBucket`: S3 does not take the question; of the zipper, 4xx in JSON "
        "without a code of its own",
        Course.SET_BACK,
    ),
    Rule(
        Blame.SERVICE,
        ("InternalError", "SlowDown", "ServiceUnavailable", "500", "502", "503", "504"),
        "500, 501, 503, 520 to 527 and other 5xx, by S3's word or their number",
        Course.SET_BACK,
    ),
    Rule(
        Blame.SERVICE,
        ("UntrustedRedirect", "Redirects"),
        "the zipper leads to a strange host, or nowhere",
        Course.SET_BACK,
    ),
    Rule(
        Blame.SERVICE, ("DAT-ZIP-109", "DAT-ZIP-604"), "the zipper: the token has expired on the way", Course.SET_BACK
    ),
    Rule(Blame.SERVICE, (), "any other fault of the service or of the way to it", Course.SET_BACK),
    Rule(Blame.DISK, ("ENOSPC", "EDQUOT"), "the disk is full, or the quota", Course.PAUSE_DISK),
    Rule(Blame.DISK, ("NoRoom",), "no spool has room for its size and `disk.free_bytes_min`", Course.PAUSE_DISK),
    Rule(
        Blame.DISK,
        ("EROFS", "EIO", "ESTALE", "ENODEV", "ENXIO", "ENOTCONN", "ETIMEDOUT", "EACCES", "EPERM", "NotMounted", "Hung"),
        "read-only, broken, gone, a dead mount, not mounted, without an answer, no right to write",
        Course.PAUSE_DISK,
    ),
    Rule(
        Blame.DISK,
        ("ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "EEXIST", "ENOTEMPTY", "Lost"),
        "its staging directory is not as we left it: removed, cut short (by a power cut?), or something was put there",
        Course.BEGIN_ANEW,
    ),
    Rule(Blame.DISK, (), "any other fault of a disk", Course.PAUSE_DISK),
    Rule(Blame.MACHINE, ("EMFILE", "ENFILE"), "no file descriptor is left, here or on the whole machine", Course.REST),
    Rule(Blame.MACHINE, ("ENOMEM", "ENOBUFS"), "no memory is left", Course.REST),
    Rule(Blame.MACHINE, ("EADDRNOTAVAIL",), "no local port is left", Course.REST),
    Rule(Blame.MACHINE, (), "any other shortage of this machine", Course.REST),
    Rule(Blame.BUG, (), "an unexpected error, with a traceback in the log: code `Bug`", Course.ATTEMPT),
    Rule(Blame.NOBODY, ("Stopped",), "the daemon stops", Course.GIVE_BACK),
    Rule(Blame.NOBODY, ("OtherState",), "another cdsed downloads it to the same place", Course.WAIT_FOR_OTHER),
    Rule(Blame.NOBODY, ("LeaseLost",), "another worker has it now", Course.GIVE_BACK),
)


@dataclass(frozen=True, slots=True)
class Note:
    """A failure that another room decides on: ``room`` is the module that does."""

    blame: Blame
    codes: tuple[str, ...]
    signals: str
    product: str
    delay: str
    pays: str
    room: str


_LOGIN = "5 min, doubled each time, 6 h at most"

ELSEWHERE = (
    Note(
        Blame.PRODUCT,
        ("Corrupt",),
        "verification: the same object, bad in the same way, twice",
        "*corrupt*: the copy goes to quarantine",
        "none",
        "the product: an attempt",
        "work/finish.py",
    ),
    Note(
        Blame.PRODUCT,
        ("KilledWorker",),
        "workers crashed over it: see below",
        "after the first crash it is worked on alone, after the second when no worker has crashed for 5 s. *failed* "
        "after the third, unless it advanced in between",
        "none",
        "the product",
        "store/processes.py",
    ),
    Note(
        Blame.PRODUCT,
        ("NotInCatalogue", "NoPath", "Deleted", "Offline"),
        "the catalogue's own word",
        "*missing* at once",
        "none",
        "the product",
        "work/resolve.py",
    ),
    Note(
        Blame.SERVICE,
        ("ConnectionFailed", "TlsFailed", "ServerError", "TooManyRequests", "BadQuery", "NotTheCatalogue"),
        "the catalogue: 3xx, 4xx, 5xx, timeouts, broken answers, answers with too few rows",
        "stays *queued*. If the listing or the name says where it is, it is downloaded. One that fails alone where "
        "others do not waits alone, 15 min at most",
        "5 s, doubled each time, 5 min at most. A longer `Retry-After` wins",
        "the catalogue: it cools",
        "work/resolve.py",
    ),
    Note(
        Blame.ACCOUNT,
        ("WrongPassword", "LoginRefused", "BadTotp", "NoPassword"),
        "the identity service: 401, 400, 403, in its words",
        "untouched",
        _LOGIN,
        "the account: it cools",
        "credentials/temporary_keys.py",
    ),
    Note(
        Blame.ACCOUNT,
        ("TooManySessions",),
        "the identity service: 400, in its words, most often 100 open sessions",
        "untouched",
        "1 min, doubled each time, 1 h at most",
        "the account: it cools",
        "credentials/temporary_keys.py",
    ),
    Note(
        Blame.ACCOUNT,
        ("KeyCapReached", "KeysRefused"),
        "the keys manager: 403, 401, in its words",
        "untouched",
        Course.COOL_ACCOUNT.value.delay,
        "the account: it cools",
        "credentials/temporary_keys.py",
    ),
    Note(
        Blame.SERVICE,
        ("KeysManager",),
        "the identity service or the keys manager: 5xx, timeouts, redirects, answers that are not theirs",
        "untouched",
        Course.COOL_ACCOUNT.value.delay,
        "the account: it cools",
        "credentials/temporary_keys.py",
    ),
)


def rule_of(error: TransferError) -> Rule:
    """Return the row of the table that an error falls under."""
    return next(rule for rule in RULES if rule.blame is error.blame and (error.code in rule.codes or not rule.codes))
