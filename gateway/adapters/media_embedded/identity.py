"""The certificate of the gateway's media: made by control, kept in its state directory, handed down to the worker."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

LIFETIME = datetime.timedelta(days=90)
RENEW_BEFORE = datetime.timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Identity:
    """Certificate and key in PEM, and the fingerprint that SDP names (sha-256, upper case, colons)."""

    certificate: str
    key: str
    fingerprint: str


def fingerprint_of(certificate: x509.Certificate) -> str:
    """Return the sha-256 fingerprint in the form of RFC 8122."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def make(now: datetime.datetime) -> Identity:
    """Make a self-signed P-256 certificate without any name in it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "silian media")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    return Identity(public.decode(), secret.decode(), fingerprint_of(certificate))


def load_or_make(path: Path, now: datetime.datetime) -> Identity:
    """Read certificate and key from one file, or make and keep them (mode 0600) if absent, damaged or nearly over."""
    try:
        text = path.read_bytes()
        certificate = x509.load_pem_x509_certificate(text)
        key = serialization.load_pem_private_key(text, None)
    except (OSError, ValueError, TypeError):
        certificate, key = None, None
    if certificate is None or key is None or certificate.not_valid_after_utc - now < RENEW_BEFORE:
        identity = make(now)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_text(identity.certificate + identity.key)
        fresh.replace(path)
        return identity
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    return Identity(public.decode(), secret.decode(), fingerprint_of(certificate))
