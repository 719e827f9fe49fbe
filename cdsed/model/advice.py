"""What a user does about each error code, for docs/errors.md and the status; a row is known by its first code."""

from cdsed.errors import FaultDomain
from cdsed.model.product_state import State

NOTHING = "Nothing: cdsed tries again"

ADVICE = {
    "NotListed": "Nothing. If it ends *unavailable*, look the product up with `cdsed resolve`",
    "ForeignBucket": "Nothing. Leave such paths out of your listings, or correct `services.s3_bucket`",
    "NoSuchKey": "Nothing. If it fails for good, the product is being replaced at CDSE: ask again later",
    "Changed": "Nothing: the product was replaced at CDSE meanwhile",
    "NotOnline": "Order the product at CDSE, or wait until it is online. Then `cdsed retry`",
    "Refused": "Ask CDSE for access to this collection, or set `transfer.zip_fallback`",
    "UnsafePath": "Report the product to CDSE. cdsed never writes it",
    "NothingChosen": "Correct the patterns or the layout (`cdsed add --include …`), and drop the listing again",
    "ZipRefused": "Read the message of CDSE in `cdsed status PRODUCT`",
    "VerificationFailed": "Nothing. If it ends *corrupt*, report the product to CDSE",
    "Incomplete": "Nothing at first: the product may still be arriving at CDSE. Later report it to CDSE",
    "NameTooLong": "Add a spool on a file system that holds such names. Then `cdsed retry --failed`",
    "ENAMETOOLONG": "Give the spool a file system that holds such names and sizes",
    "Corrupt": "Report the product to CDSE, and `cdsed retry --corrupt` when it is replaced",
    "KilledWorker": "Report it to us with the log. `cdsed retry --failed` tries once more",
    "NotInCatalogue": "Check the spelling of the name. If the product is new, `cdsed retry --unavailable` later",
    "Throttled": "Nothing. Look for other programs that use the account, or lower its `sessions`",
    "ThrottledElsewhere": "Ask who runs the proxy for a higher limit, or lower `sessions`",
    "InvalidAccessKeyId": "Put a new key (`cdsed keys create`) into the accounts file and restart: see below",
    "InvalidToken": "Put the right session token or a new key into the accounts file, and restart",
    "RequestTimeTooSkewed": "Set the clock of this machine (NTP)",
    "UserSuspended": "Ask the help desk of CDSE",
    "WrongPassword": "Correct login or password in the accounts file and restart. Log in once on CDSE's page",
    "TooManySessions": "Wait, or close sessions on the account page of CDSE",
    "KeyCapReached": "Delete keys that you do not need (`cdsed keys list`, `cdsed keys delete`)",
    "ConnectionLost": "Nothing. If it lasts, look at the network and at the status page of CDSE",
    "Unreachable": "Check route and firewall of this machine",
    "NoAddress": "Check the DNS of this machine, and the host names in your settings",
    "Certificate": "Do what the text says: the clock, the address, or `services.ca_file`",
    "Timeout": "Nothing. If it lasts, lower `sessions` or `transfer.rate_min_bytes_per_s`, or look for a wrong MTU",
    "TruncatedBody": "Nothing. If it lasts, look for a proxy that cuts long downloads",
    "DamagedZip": NOTHING,
    "Damaged": "Nothing. If it lasts, check memory and disk of this machine, and any proxy",
    "InvalidResponse": "Nothing. If it lasts, look for a proxy that changes responses",
    "UnexpectedObject": "Log in to your proxy, or let it pass the hosts of CDSE",
    "ProxyResponse": "Log in to your proxy, or let it pass the hosts of CDSE",
    "Redirected": "Log in to your proxy, or correct the addresses in your settings",
    "Zipper": NOTHING,
    "WrongRefusal": "Nothing. If it fails for good, report the product to CDSE",
    "BadRequest": "Correct `services` in your settings: bucket, region, address",
    "InternalError": "Nothing. See the status page of CDSE if it lasts",
    "UntrustedRedirect": "Add the host to `services` in your settings if you trust it",
    "DAT-ZIP-109": NOTHING,
    "ConnectionFailed": "Nothing. If it lasts, open the address of the catalogue from this machine",
    "KeysManager": "Nothing. See the status page of CDSE if it lasts",
    "ENOSPC": "Free space, raise the quota, or add a spool",
    "NoRoom": "Free space, lower `disk.free_bytes_min`, or add a spool",
    "EROFS": "Mount or repair the disk, and give the daemon's user the right to write",
    "ENOENT": "Nothing. Leave the staging directories to cdsed",
    "EMFILE": "Raise `LimitNOFILE=` of the unit, or lower `sessions`",
    "Engine": "See the log of Dask's scheduler and workers. The daemon connects again, without your help",
    "ENOMEM": "Raise `MemoryMax=`, or lower `transfer.processes`",
    "EADDRNOTAVAIL": "Lower `sessions`, or stop what opens so many connections",
    "Stopped": "Nothing",
    "OtherState": "Nothing: it is downloaded once",
    "LeaseLost": "Nothing",
}

#: For the rows of every other code of a fault domain.
ADVICE_OTHERWISE = {
    FaultDomain.PRODUCT: "Read the cause in `cdsed status PRODUCT`",
    FaultDomain.ACCOUNT: "Read the cause below the account in `cdsed status`",
    FaultDomain.SERVICE: "Nothing. If it lasts, read the cause in `cdsed status`",
    FaultDomain.DISK: "Read the cause in `cdsed status`, and look at the disk",
    FaultDomain.MACHINE: "Read the cause in `cdsed status`",
    FaultDomain.BUG: "Report it to us with the traceback in the log",
}

#: For a finished product, where the code says only what cdsed does while it still tries.
_ADVICE_FINISHED = {
    State.UNAVAILABLE: "Check the name. If the product is new, `cdsed retry --unavailable` later",
    State.CORRUPT: "Report the product to CDSE, and `cdsed retry --corrupt` when it is replaced",
    State.FAILED: "Read the cause. `cdsed retry --failed` tries again",
}


def advice_for(code: str | None, state: State) -> str:
    """Return what a user does about a product that ended in a state with an error code."""
    advice = ADVICE.get(code or "", NOTHING)
    return _ADVICE_FINISHED.get(state, advice) if advice.startswith("Nothing") else advice
