"""Certificates for tests: an authority and clients of any name."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.enrolment.authority import Authority
from protocols.aio.mqtt import TlsFiles


def authority(folder: Path, node: str = "320600") -> Authority:
    return Authority.load(folder, node, datetime.now(UTC))


def client(issuer: Authority, folder: Path, node: str) -> TlsFiles:
    """A node's files, signed by `issuer`."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    files = TlsFiles(issuer.folder / "ca.crt", folder / f"{node}.crt", folder / f"{node}.key")
    files.certificate.write_text(issuer.issue_node(csr, node, timedelta(days=1), datetime.now(UTC)))
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files
