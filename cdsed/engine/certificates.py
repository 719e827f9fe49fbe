"""The certificate of an installation: scheduler, workers and daemon show it to each other, and trust no other one."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from cdsed.config.engine_settings import CERTIFICATE_NAME, KEY_NAME
from cdsed.config.private import replace_private

_YEARS = 10


def make_certificate(directory: Path, now: datetime | None = None) -> None:
    """Make a certificate that is its own authority, and its key, as two files of mode 0600.

    With them, programs can be run on every worker.
    """
    begun = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cdsed")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begun - timedelta(days=1))  # clocks of machines differ
        .not_valid_after(begun + timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    directory.mkdir(mode=0o700, exist_ok=True)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    replace_private(directory / KEY_NAME, secret.decode())
    replace_private(directory / CERTIFICATE_NAME, certificate.public_bytes(Encoding.PEM).decode())
