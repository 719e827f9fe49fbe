"""Tokens of the identity service: JSON Web Tokens, signed with a key that is made when the first one is needed.

An access token has the claims of one of CDSE's Keycloak. Clients check its signature with the public key at ``certs``,
its audience and its expiry, and read its times.
"""

import secrets
import threading
import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cdsed.sandbox.accounts import SandboxAccount

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

REALM = "/auth/realms/CDSE"
CLIENT_ID = "cdse-public"
SCOPE = "AUDIENCE_PUBLIC openid email profile"
ALGORITHM = "RS256"
_AUDIENCES = ["CLOUDFERRO_PUBLIC", "account"]
_KEY_BITS = 2048
_LOCK = threading.Lock()
_REFRESH_SECRET = secrets.token_bytes(64)


def access_token(account: SandboxAccount, issuer: str, session_id: str, now_s: float, lifetime_s: float) -> str:
    """Return a new access token.

    Parameters
    ----------
    account
        Who logged in.
    issuer
        The address of the realm.
    session_id
        Of the login.
    now_s
        The current time, UTC, in seconds since the epoch.
    lifetime_s
        How long it is valid, in seconds.
    """
    import jwt  # it takes 0.1 s, and most sandboxes never see a login

    claims = {
        **_common(account, issuer, session_id, now_s, lifetime_s),
        "typ": "Bearer",
        "aud": _AUDIENCES,
        "allowed-origins": ["*"],
        "realm_access": {"roles": ["offline_access", "copernicus-general"]},
        "email_verified": True,
        "preferred_username": account.user_name,
        "email": account.user_name,
    }
    key_id, key = _signing_key()
    return jwt.encode(claims, key, ALGORITHM, headers={"kid": key_id})


def refresh_token(account: SandboxAccount, issuer: str, session_id: str, now_s: float, lifetime_s: float) -> str:
    """Return a new refresh token, which only the service can check; parameters as for `access_token`."""
    import jwt

    claims = {**_common(account, issuer, session_id, now_s, lifetime_s), "typ": "Refresh", "aud": issuer}
    return jwt.encode(claims, _REFRESH_SECRET, "HS512")


def public_keys() -> dict[str, Any]:
    """Return the set of keys (JWKS) with which clients check access tokens."""
    from jwt.algorithms import RSAAlgorithm

    key_id, key = _signing_key()
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {"keys": [{"kid": key_id, "kty": "RSA", "alg": ALGORITHM, "use": "sig", "n": public["n"], "e": public["e"]}]}


def openid_configuration(issuer: str) -> Mapping[str, Any]:
    """Return the configuration that clients discover at ``.well-known/openid-configuration`` of the realm."""
    endpoint = f"{issuer}/protocol/openid-connect"
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{endpoint}/auth",
        "token_endpoint": f"{endpoint}/token",
        "jwks_uri": f"{endpoint}/certs",
        "grant_types_supported": ["password", "refresh_token"],
        "response_types_supported": ["code", "none", "id_token", "token"],
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "scopes_supported": SCOPE.split(),
        "claims_supported": ["aud", "sub", "iss", "name", "preferred_username", "email"],
    }


def _common(account: SandboxAccount, issuer: str, session_id: str, now_s: float, lifetime_s: float) -> dict[str, Any]:
    return {
        "exp": int(now_s + lifetime_s),
        "iat": int(now_s),
        "jti": str(uuid.uuid4()),  # makes two tokens of one second differ
        "iss": issuer,
        "sub": str(uuid.uuid5(uuid.NAMESPACE_URL, account.user_name)),
        "azp": CLIENT_ID,
        "session_state": session_id,
        "sid": session_id,
        "scope": SCOPE,
    }


def _signing_key() -> tuple[str, "RSAPrivateKey"]:
    with _LOCK:  # without it, two first logins would make two keys
        return _made_key()


@lru_cache(maxsize=1)
def _made_key() -> tuple[str, "RSAPrivateKey"]:
    """Return the id of the key of this process, and the key."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    return secrets.token_urlsafe(32), rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
