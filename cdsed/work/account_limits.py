"""The limits of the accounts of the settings, as the state notes them."""

from cdsed.config.accounts import Accounts
from cdsed.credentials.key_ledger import Keyring
from cdsed.store.leases import AccountLimits


def account_limits(accounts: Accounts, keyring: Keyring) -> list[AccountLimits]:
    """Return the limits of each account; the keyring knows which have S3 keys now."""
    return [
        AccountLimits(
            name=account.name,
            group=account.group,
            sessions=account.sessions,
            requests_per_minute=account.requests_per_minute,
            volume_bytes=account.volume_bytes,
            key_expires_at=account.s3_key_expires.timestamp() if account.s3_key_expires else None,
            has_keys=keyring.keys_of(account) is not None,
            bandwidth_bytes_per_s=account.bandwidth_bytes_per_s,
            login=account.login_mark,
            shares=account.shares,
            pool_sessions=account.pool_sessions,
        )
        for account in accounts
    ]
