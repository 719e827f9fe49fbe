"""The credentials of accounts: logins and tokens, S3 keys, and why S3 refuses a key.

`token_file`, `tokens`, `keys_manager`, `key_ledger` and `key_rotation` use neither the state nor S3, so that commands
and `cdsed.compat` may use them. `temporary_keys` (for the *keys* worker) and `key_diagnosis` need both.
"""
