"""The certificate authority of one tier: EC P-256, files in `<state>/pki/`, made at the first start and kept.

::

    ca.key ca.crt              the authority (ten years); the key never leaves this directory
    broker.key broker.crt      the broker's listener
    gateway.key gateway.crt    the gateway's own identity at its broker (CN = its code)
    https.key https.crt        the HTTP listener beyond loopback where no certificate is configured

Certificates begin a day early, because boxes boot with clocks that are off.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID

from gateway.web.keys import write_secret
from protocols.aio.mqtt import TlsFiles
from protocols.enrolment import PIN_DIGITS, renewal_due
from protocols.errors import BadInputError, ConfigError, NotAuthenticatedError

EARLY: Final = timedelta(days=1)
AUTHORITY_LIFE: Final = timedelta(days=3650)
SERVER_LIFE: Final = timedelta(days=397)


def common_name(certificate: x509.Certificate | x509.CertificateSigningRequest) -> str:
    """Return the CN, "" where there is none."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def read_csr(pem: str) -> x509.CertificateSigningRequest:
    """Read and check a CSR; raises BadInputError unless it is signed by its own P-256 key."""
    try:
        csr = x509.load_pem_x509_csr(pem.encode())
    except ValueError:
        raise BadInputError("the CSR is not PEM") from None
    key = csr.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadInputError("the CSR's key must be EC P-256")
    if not csr.is_signature_valid:
        raise BadInputError("the CSR is not signed by its own key")
    return csr


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the DER form as hex digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


class Authority:
    """Issues certificates. `load` makes what is missing; all times are arguments."""

    def __init__(self, folder: Path, node: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self.folder = folder
        self.node = node
        self._key = key
        self.certificate = certificate
        self._own_ends = {"ca": certificate.not_valid_after_utc}

    @classmethod
    def load(cls, folder: Path, node: str, now: datetime) -> "Authority":
        """Read the authority of gateway `node`, making it at the first start; raises ConfigError on damaged files."""
        key_file, cert_file = folder / "ca.key", folder / "ca.crt"
        if not key_file.exists() and not cert_file.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = _self_signed(key, f"Silian {node} authority", now)
            write_secret(key_file, _pem(key))
            _write(cert_file, certificate)
            return cls(folder, node, key, certificate)
        try:
            found = load_pem_private_key(key_file.read_bytes(), password=None)
            certificate = x509.load_pem_x509_certificate(cert_file.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(f"{folder}: the authority's files are damaged ({error}); restore them") from None
        if not isinstance(found, ec.EllipticCurvePrivateKey) or found.public_key() != certificate.public_key():
            raise ConfigError(f"{folder}: ca.key and ca.crt do not belong together; restore them")
        return cls(folder, node, found, certificate)

    @property
    def pem(self) -> str:
        """The authority's certificate."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def sha256(self) -> str:
        """SHA-256 of the certificate, hex."""
        return fingerprint(self.certificate)

    @property
    def pin(self) -> str:
        """The part of it that a token carries."""
        return self.sha256[:PIN_DIGITS]

    def issue_node(self, csr: x509.CertificateSigningRequest, node: str, life: timedelta, now: datetime) -> str:
        """Return a client certificate (PEM) for `node`; names inside the CSR are ignored."""
        made = self._issue(csr.public_key(), node, (), Usage.CLIENT_AUTH, life, now)
        return made.public_bytes(Encoding.PEM).decode()

    def client_files(self, now: datetime) -> TlsFiles:
        """Return the gateway's own identity at its broker, made or renewed where due."""
        return self._own("gateway", self.node, (), Usage.CLIENT_AUTH, now)

    def server_files(self, name: str, hosts: Sequence[str], now: datetime) -> TlsFiles:
        """Return a listener's certificate for `hosts` and loopback; renewed where due or where the names changed."""
        names = tuple(dict.fromkeys([*(h for h in hosts if h not in ("", "0.0.0.0", "::")), "127.0.0.1", "localhost"]))  # noqa: S104 - compared, not bound
        return self._own(name, names[0], names, Usage.SERVER_AUTH, now)

    def own_ends(self) -> dict[str, datetime]:
        """Return when the authority and the certificates in use end, by name: ca, broker, gateway, https.

        A gateway's own certificates are renewed at its start, two thirds into their thirteen months.
        """
        return dict(self._own_ends)

    def verify_issued(self, certificate: x509.Certificate, now: datetime) -> str:
        """Return the node of a certificate of ours that is in force; raises NotAuthenticatedError."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (InvalidSignature, ValueError, TypeError):
            raise NotAuthenticatedError("the certificate is not of this authority") from None
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise NotAuthenticatedError("the certificate is not in force; enrol with a new token")
        return common_name(certificate)

    def _own(
        self, name: str, subject: str, hosts: tuple[str, ...], usage: x509.ObjectIdentifier, now: datetime
    ) -> TlsFiles:
        cert_file, key_file = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        if not self._still_good(cert_file, key_file, hosts, now):
            key = ec.generate_private_key(ec.SECP256R1())
            write_secret(key_file, _pem(key))
            _write(cert_file, self._issue(key.public_key(), subject, hosts, usage, SERVER_LIFE, now))
        self._own_ends[name] = x509.load_pem_x509_certificate(cert_file.read_bytes()).not_valid_after_utc
        return TlsFiles(self.folder / "ca.crt", cert_file, key_file)

    def _still_good(self, cert_file: Path, key_file: Path, hosts: tuple[str, ...], now: datetime) -> bool:
        try:
            certificate = x509.load_pem_x509_certificate(cert_file.read_bytes())
            key = load_pem_private_key(key_file.read_bytes(), password=None)
            self.verify_issued(certificate, now)
        except (OSError, ValueError, NotAuthenticatedError):
            return False
        if key.public_key() != certificate.public_key() or names_of(certificate) != set(hosts):
            return False
        return not renewal_due(certificate.not_valid_before_utc, certificate.not_valid_after_utc, now)

    def _issue(
        self,
        key: object,
        subject: str,
        hosts: tuple[str, ...],
        usage: x509.ObjectIdentifier,
        life: timedelta,
        now: datetime,
    ) -> x509.Certificate:
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise AssertionError("read_csr and the callers admit EC keys alone")
        builder = (
            _begin(subject, self.certificate.subject, key, life, now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(h) for h in hosts]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def names_of(certificate: x509.Certificate) -> set[str]:
    """Return the host names and addresses of a certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(n.value) for n in names}


def verify_signature(certificate: x509.Certificate, signature: bytes, content: bytes) -> None:
    """Raise NotAuthenticatedError unless `content` is signed by the certificate's key (ECDSA-SHA256)."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise NotAuthenticatedError("the certificate's key must be EC P-256")
    try:
        key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise NotAuthenticatedError("the old key did not sign this request") from None


def _self_signed(key: ec.EllipticCurvePrivateKey, name: str, now: datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        _begin(name, subject, key.public_key(), AUTHORITY_LIFE, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _begin(
    subject: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: timedelta, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before((now - EARLY).astimezone(UTC))
        .not_valid_after((now + life).astimezone(UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, certificate: x509.Certificate) -> None:
    write_secret(path, certificate.public_bytes(Encoding.PEM))
    path.chmod(0o644)
