"""The one table of failures: whose fault each is, what becomes of the product, when it is retried, and what is charged.

`cdsed.work.outcome` looks up every error of a transfer in `RULES`, and carries out its action. ``docs/errors.md`` is
generated from it, and lists the failures that other modules decide on, too.
"""

from cdsed.errors import FaultDomain, TransferError
from cdsed.frozen import frozen
from cdsed.work.failure_action import FailureAction


@frozen
class FailureRule:
    """One row: errors of this fault domain with one of these codes (no code: any other) lead to this action.

    ``never_charged``: not even the sixth in a row is an attempt, unless another product that was asked for after it
    arrived: only that shows that it is not something on the way.
    """

    fault_domain: FaultDomain
    codes: tuple[str, ...]
    signals: str
    action: FailureAction
    never_charged: bool = False


RULES = (
    FailureRule(
        FaultDomain.PRODUCT,
        ("NotListed",),
        "S3 lists nothing at its path, and says `NoSuchKey` of it",
        FailureAction.ASK_CATALOGUE,
    ),
    FailureRule(
        FaultDomain.PRODUCT,
        ("ForeignBucket",),
        "its path is in another bucket than `services.s3_bucket`; S3 is not asked for that",
        FailureAction.ASK_CATALOGUE,
    ),
    FailureRule(
        FaultDomain.PRODUCT,
        ("NoSuchKey",),
        "404 or 410 `NoSuchKey` for an object that was listed",
        FailureAction.ATTEMPT,
    ),
    FailureRule(
        FaultDomain.PRODUCT,
        ("Changed",),
        "412, 416 in the words of S3, or an object with another ETag than was listed",
        FailureAction.ATTEMPT,
    ),
    FailureRule(
        FaultDomain.PRODUCT,
        ("NotOnline",),
        "403 `InvalidObjectState`: the object is in an archive",
        FailureAction.ATTEMPT,
    ),
    FailureRule(
        FaultDomain.PRODUCT,
        ("Refused",),
        "403 `AccessDenied`, though the same key lists other things",
        FailureAction.OTHER_ACCOUNT,
    ),
    FailureRule(
        FaultDomain.PRODUCT,
        ("UnsafePath",),
        "an object key or a zip member that leads out of the product, names a file twice, or would fill the disk",
        FailureAction.GIVE_UP,
    ),
    FailureRule(
        FaultDomain.PRODUCT,
        ("NameTooLong",),
        "no spool is on a file system that holds names as long as its own, or its files'",
        FailureAction.GIVE_UP,
    ),
    FailureRule(
        FaultDomain.PRODUCT,
        ("NothingChosen", "NoLayoutField"),
        "none of its files fits `include` and `exclude`, or its name lacks a field of `layout`",
        FailureAction.GIVE_UP,
    ),
    FailureRule(
        FaultDomain.PRODUCT,
        ("ZipRefused",),
        "the zipper: 400, 404, 422 and other 4xx, with a code `DAT-ZIP-…`",
        FailureAction.ATTEMPT,
    ),
    FailureRule(
        FaultDomain.PRODUCT,
        ("VerificationFailed",),
        "verification: the catalogue's MD5 or a digest of the manifest does not fit, a single file is not what its "
        "name says, or a zip is broken at its source. Only what is bad is fetched again: see below",
        FailureAction.ATTEMPT,
    ),
    FailureRule(
        FaultDomain.PRODUCT,
        ("Incomplete",),
        "verification: the manifest names what S3 does not list",
        FailureAction.ATTEMPT,
    ),
    FailureRule(
        FaultDomain.PRODUCT,
        ("ENAMETOOLONG", "EILSEQ", "EINVAL", "EFBIG", "EOVERFLOW"),
        "its file system cannot hold a file of that name or size",
        FailureAction.ATTEMPT,
    ),
    FailureRule(FaultDomain.PRODUCT, (), "any other fault of the product", FailureAction.ATTEMPT),
    FailureRule(
        FaultDomain.ACCOUNT,
        ("Throttled",),
        "429, 509, the zipper's *max session number*",
        FailureAction.BACK_OFF_ACCOUNT,
    ),
    FailureRule(
        FaultDomain.ACCOUNT,
        ("ThrottledElsewhere",),
        "429, 509 not in the service's words: perhaps a proxy asks for less; no other user of the account is suspected",
        FailureAction.BACK_OFF_ACCOUNT,
    ),
    FailureRule(
        FaultDomain.ACCOUNT,
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "AccessDenied"),
        "401 or 403 with this code (`AccessDenied`: for everything this key asks): diagnosed, see below",
        FailureAction.BACK_OFF_ACCOUNT,
    ),
    FailureRule(
        FaultDomain.ACCOUNT, ("InvalidToken",), "the session token is not valid", FailureAction.BACK_OFF_ACCOUNT
    ),
    FailureRule(
        FaultDomain.ACCOUNT, ("RequestTimeTooSkewed",), "this machine's clock is wrong", FailureAction.BACK_OFF_ACCOUNT
    ),
    FailureRule(
        FaultDomain.ACCOUNT,
        ("UserSuspended", "AccountProblem"),
        "CDSE has locked the account",
        FailureAction.BACK_OFF_ACCOUNT,
    ),
    FailureRule(FaultDomain.ACCOUNT, (), "any other fault of the account", FailureAction.BACK_OFF_ACCOUNT),
    FailureRule(FaultDomain.SERVICE, ("ConnectionLost",), "refused, reset or closed connections", FailureAction.RETRY),
    FailureRule(
        FaultDomain.SERVICE,
        ("Unreachable",),
        "no route, network down, forbidden by a firewall here",
        FailureAction.RETRY,
    ),
    FailureRule(FaultDomain.SERVICE, ("NoAddress",), "the name cannot be resolved", FailureAction.RETRY),
    FailureRule(
        FaultDomain.SERVICE, ("Certificate", "TLS"), "TLS fails, or the certificate is not trusted", FailureAction.RETRY
    ),
    FailureRule(
        FaultDomain.SERVICE,
        ("Timeout", "TooSlow"),
        "no response in time, 408, less than the minimum rate",
        FailureAction.RETRY,
    ),
    FailureRule(FaultDomain.SERVICE, ("TruncatedBody",), "a response that ends early", FailureAction.RETRY),
    FailureRule(
        FaultDomain.SERVICE, ("DamagedZip",), "a zip with another MD5 than the catalogue states", FailureAction.RETRY
    ),
    FailureRule(
        FaultDomain.SERVICE,
        ("Damaged",),
        "verification: an object differs from its own ETag, or on the disk from what arrived",
        FailureAction.REFETCH,
    ),
    FailureRule(
        FaultDomain.SERVICE,
        ("InvalidResponse",),
        "no valid HTTP or S3: an error under status 200, a list of objects that is cut off or cannot be read, 204",
        FailureAction.RETRY,
    ),
    FailureRule(
        FaultDomain.SERVICE,
        ("UnexpectedObject",),
        "200 or 206 without the ETag, length or range asked for, such as an error page under status 200",
        FailureAction.RETRY,
        never_charged=True,
    ),
    FailureRule(
        FaultDomain.SERVICE,
        ("ProxyResponse",),
        "a response that is not the service's own: a page, JSON, nothing or another list in place of a list or a "
        "zip, or 401, 403, 404, 407, 410, 412, 416, 451 not in its words. A proxy, a firewall",
        FailureAction.RETRY,
        never_charged=True,
    ),
    FailureRule(
        FaultDomain.SERVICE,
        ("Redirected",),
        "3xx: another address or region, a login page. Never followed",
        FailureAction.RETRY,
        never_charged=True,
    ),
    FailureRule(
        FaultDomain.SERVICE,
        ("WrongRefusal",),
        "401, 403 or 400 with the code of a bad key for one product, though the same key lists others",
        FailureAction.RETRY,
    ),
    FailureRule(
        FaultDomain.SERVICE,
        ("BadRequest",),
        "400, 405, 411 and other 4xx, 404 `NoSuchBucket`: S3 does not take the request; of the zipper, 4xx in JSON "
        "without a code of its own",
        FailureAction.RETRY,
    ),
    FailureRule(
        FaultDomain.SERVICE,
        ("InternalError", "SlowDown", "ServiceUnavailable", "500", "502", "503", "504"),
        "500, 501, 503, 520 to 527 and other 5xx, by S3's word or their number",
        FailureAction.RETRY,
    ),
    FailureRule(
        FaultDomain.SERVICE,
        ("UntrustedRedirect", "Redirects"),
        "the zipper redirects to an unknown host, or to no address",
        FailureAction.RETRY,
    ),
    FailureRule(
        FaultDomain.SERVICE,
        ("DAT-ZIP-109", "DAT-ZIP-604"),
        "the zipper: the token has expired on the way",
        FailureAction.RETRY,
    ),
    FailureRule(
        FaultDomain.SERVICE, ("Zipper",), "the zipper backs off, after failures of its own", FailureAction.RETRY
    ),
    FailureRule(FaultDomain.SERVICE, (), "any other fault of the service or of the network", FailureAction.RETRY),
    FailureRule(FaultDomain.DISK, ("ENOSPC", "EDQUOT"), "the disk or its quota is full", FailureAction.PAUSE_DISK),
    FailureRule(
        FaultDomain.DISK,
        ("NoRoom",),
        "no spool has enough free bytes for its size and `disk.free_bytes_min`",
        FailureAction.PAUSE_DISK,
    ),
    FailureRule(
        FaultDomain.DISK,
        ("EROFS", "EIO", "ESTALE", "ENODEV", "ENXIO", "ENOTCONN", "ETIMEDOUT", "EACCES", "EPERM", "NotMounted", "Hung"),
        "read-only, broken, gone, a stale mount, not mounted, not responding, no right to write",
        FailureAction.PAUSE_DISK,
    ),
    FailureRule(
        FaultDomain.DISK,
        ("ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "EEXIST", "ENOTEMPTY", "Lost"),
        "its staging directory was changed: removed, truncated (by a power cut?), or a file was put there. Also `EIO`, "
        "`EACCES`, `EPERM` and `ESTALE` in it, if a file can be written beside it",
        FailureAction.REPLAN,
    ),
    FailureRule(FaultDomain.DISK, (), "any other fault of a disk", FailureAction.PAUSE_DISK),
    FailureRule(
        FaultDomain.MACHINE,
        ("EMFILE", "ENFILE"),
        "no file descriptor is left, here or on the whole machine",
        FailureAction.BACKOFF,
    ),
    FailureRule(FaultDomain.MACHINE, ("ENOMEM", "ENOBUFS"), "no memory is left", FailureAction.BACKOFF),
    FailureRule(FaultDomain.MACHINE, ("EADDRNOTAVAIL",), "no local port is left", FailureAction.BACKOFF),
    FailureRule(
        FaultDomain.MACHINE,
        ("Engine", "Message"),
        "Dask carries no messages, or one that cannot be read: see the log of its scheduler and workers",
        FailureAction.BACKOFF,
    ),
    FailureRule(FaultDomain.MACHINE, (), "any other shortage of this machine", FailureAction.BACKOFF),
    FailureRule(
        FaultDomain.BUG, (), "an unexpected error, with a traceback in the log: code `Bug`", FailureAction.ATTEMPT
    ),
    FailureRule(FaultDomain.NONE, ("Stopped",), "the daemon stops", FailureAction.RELEASE),
    FailureRule(
        FaultDomain.NONE,
        ("OtherState",),
        "another cdsed downloads it to the same place",
        FailureAction.WAIT_FOR_OTHER,
    ),
    FailureRule(FaultDomain.NONE, ("LeaseLost",), "another worker has it now", FailureAction.RELEASE),
)


def rule_of(error: TransferError) -> FailureRule:
    """Return the row of the table that an error falls under."""
    return next(
        rule
        for rule in RULES
        if rule.fault_domain is error.fault_domain and (error.code in rule.codes or not rule.codes)
    )
