"""Everything that proves who an account is: its logins and tokens, its S3 keys, and why S3 refuses one.

`token_file`, `tokens`, `keys_manager`, `key_ledger` and `key_rotation` know no state and no S3, so that commands and
`cdsed.compat` may use them. `temporary_keys` (what the *keys* worker runs) and `key_diagnosis` need both.
"""
