"""The node's half of enrolment: key and CSR, `POST /api/v1/enrol`, and the files of its identity.

::

    <state>/identity/node.key        0600, made here, never sent
                     node.crt        own certificate; its CN is the node
                     ca.crt          the authority of the tier above, pinned by the token
                     upstream.json   gateway, HTTP address, broker

Plain HTTP is spoken to loopback alone. Over HTTPS the authority is fetched first and believed only if its SHA-256
begins with the token's pin; everything after that is verified against it.
"""

import asyncio
import base64
import hashlib
import ipaddress
import json
import os
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from protocols.aio.mqtt import BrokerAddress, TlsFiles
from protocols.enrolment import EnrolAnswer, EnrolmentToken, EnrolRequest, RenewRequest, parse_token, renewal_due
from protocols.errors import BadInputError, ConfigError, LinkError, NotAuthenticatedError, RefusedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is at the tier above, and where that is."""

    node: str
    gateway: str
    url: str
    broker_host: str
    broker_port: int
    key: Path
    certificate: Path
    authority: Path

    def broker(self) -> BrokerAddress:
        """Return where to link: own certificate shown, only the pinned authority trusted."""
        tls = TlsFiles(self.authority, self.certificate, self.key)
        return BrokerAddress(self.broker_host, self.broker_port, tls)

    def http_context(self) -> ssl.SSLContext | None:
        """Return the TLS context for the gateway's HTTP (WHIP, renewal); None where its address is plain loopback."""
        return _trusting(self.authority.read_text()) if self.url.startswith("https:") else None


def load_identity(folder: Path) -> Identity | None:
    """Read the identity, None before enrolment; raises ConfigError where its files are damaged."""
    about = folder / "upstream.json"
    if not about.exists():
        return None
    _finish_swap(folder)
    try:
        found = json.loads(about.read_text("utf-8"))
        identity = Identity(
            node=found["node"],
            gateway=found["gateway"],
            url=found["url"],
            broker_host=found["broker"]["host"],
            broker_port=int(found["broker"]["port"]),
            key=folder / "node.key",
            certificate=folder / "node.crt",
            authority=folder / "ca.crt",
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{about} is damaged ({error}); remove {folder} and enrol again") from None
    for file in (identity.key, identity.certificate, identity.authority):
        if not file.is_file():
            raise ConfigError(f"{file} is missing; remove {folder} and enrol again with a new token")
    return identity


async def ensure_identity(folder: Path, url: str, token: str | None) -> Identity:
    """Return the identity, enrolling where there is none yet or the token is of another authority.

    Raises BadInputError (token), ConfigError (no token, or plain HTTP beyond loopback), LinkError (not reachable: try
    again), RefusedError (token used, ended or unknown). Repeating it after a lost answer is safe: the key is kept.
    """
    identity = load_identity(folder)
    wanted = parse_token(token) if token else None
    if identity is not None and (wanted is None or _same_authority(identity, wanted)):
        return identity
    if wanted is None:
        raise ConfigError("not enrolled at the tier above: have a token made there (`silian enrol-token NODE`)")
    return await enrol(folder, url, wanted)


async def enrol(folder: Path, url: str, token: EnrolmentToken) -> Identity:
    """Enrol with a one-time token; errors as in `ensure_identity`."""
    base = url.rstrip("/")
    _refuse_plain(base)
    key = await asyncio.to_thread(_load_or_make_key, folder / "node.key")
    request = EnrolRequest(token=str(token), csr=_csr(key, token.node))
    context = await _pinned(base, token.pin) if base.startswith("https:") else None
    answer = _answer(await _post(f"{base}/api/v1/enrol", request.model_dump(), context))
    if _sha256(answer.ca)[: len(token.pin)] != token.pin:
        raise NotAuthenticatedError("the answer carries another authority than the token; is this the right gateway?")
    if answer.node != token.node:
        raise RefusedError(f"the certificate is for {answer.node}, the token for {token.node}")
    return await asyncio.to_thread(_store, folder, base, answer)


async def renew_if_due(folder: Path, now: datetime) -> bool:
    """Renew the certificate after two thirds of its life; tell whether that was done. Errors as in `enrol`.

    The old key signs the new CSR. Connections that stand are not touched; the next one shows the new certificate.
    """
    from cryptography import x509

    identity = load_identity(folder)
    if identity is None:
        raise ConfigError("not enrolled at the tier above")
    pem = identity.certificate.read_text()
    old = x509.load_pem_x509_certificate(pem.encode())
    if not renewal_due(old.not_valid_before_utc, old.not_valid_after_utc, now):
        return False
    _refuse_plain(identity.url)
    fresh = await asyncio.to_thread(_load_or_make_key, folder / "node.key.next")
    csr = _csr(fresh, identity.node)
    signature = _sign(await asyncio.to_thread(_load_or_make_key, identity.key), csr)
    request = RenewRequest(certificate=pem, csr=csr, signature=signature)
    url = f"{identity.url}/api/v1/enrol/renew"
    answer = _answer(await _post(url, request.model_dump(), identity.http_context()))
    await asyncio.to_thread(_swap, folder, identity.url, answer)
    return True


def certificate_life(identity: Identity) -> tuple[datetime, datetime]:
    """Return begin and end of the own certificate (for metrics and doctor)."""
    from cryptography import x509

    found: Certificate = x509.load_pem_x509_certificate(identity.certificate.read_bytes())
    return found.not_valid_before_utc, found.not_valid_after_utc


def _same_authority(identity: Identity, token: EnrolmentToken) -> bool:
    return identity.node == token.node and _sha256(identity.authority.read_text()).startswith(token.pin)


def _refuse_plain(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return
    host = parts.hostname or ""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigError(f"enrolment needs https: {url} would send the token in the clear")


def _load_or_make_key(path: Path) -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    if path.exists():
        found = load_pem_private_key(path.read_bytes(), password=None)
        if isinstance(found, ec.EllipticCurvePrivateKey):
            return found
        raise ConfigError(f"{path} is not an EC key; move it away and enrol again")
    key = ec.generate_private_key(ec.SECP256R1())
    _write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    return key


def _csr(key: "EllipticCurvePrivateKey", node: str) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node)])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


def _sign(key: "EllipticCurvePrivateKey", csr: str) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    content = x509.load_pem_x509_csr(csr.encode()).public_bytes(Encoding.DER)
    return base64.b64encode(key.sign(content, ec.ECDSA(hashes.SHA256()))).decode()


def _sha256(pem: str) -> str:
    try:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.strip() + "\n")).hexdigest()
    except ValueError:
        raise RefusedError("the gateway's authority is not a PEM certificate") from None


async def _pinned(base: str, pin: str) -> ssl.SSLContext:
    # Nothing is believed over this connection but what hashes to the pin.
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    pem = str((await _get(f"{base}/api/v1/enrol/ca", blind)).get("ca", ""))
    if _sha256(pem)[: len(pin)] != pin:
        raise NotAuthenticatedError(f"{base} shows another authority than the token; is this the right gateway?")
    return _trusting(pem)


def _trusting(pem: str) -> ssl.SSLContext:
    # A public or operator's certificate in front of the gateway is as good as its own authority's.
    context = ssl.create_default_context()
    context.load_verify_locations(cadata=pem)
    return context


async def _get(url: str, context: ssl.SSLContext) -> dict[str, Any]:
    import httpx

    try:
        async with httpx.AsyncClient(verify=context, timeout=_TIMEOUT_S, trust_env=False) as client:
            return _body(await client.get(url))
    except httpx.TransportError as error:
        raise LinkError(f"{url} cannot be reached: {str(error) or type(error).__name__}") from None


async def _post(url: str, body: dict[str, Any], context: ssl.SSLContext | None) -> dict[str, Any]:
    import httpx

    try:
        # Without a context the address is plain loopback, and loading the system's authorities would be for nothing.
        verify = context if context is not None else False
        async with httpx.AsyncClient(verify=verify, timeout=_TIMEOUT_S, trust_env=False) as client:
            return _body(await client.post(url, json=body))
    except httpx.TransportError as error:
        raise LinkError(f"{url} cannot be reached: {str(error) or type(error).__name__}") from None


def _body(response: Any) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise LinkError(f"{response.url} answered {response.status_code} without JSON; is this a Silian gateway?")
    if response.status_code >= 500 or response.status_code == 429:
        raise LinkError(f"{response.url} answered {response.status_code}: {body.get('detail', '')}")
    if response.status_code >= 400:
        raise RefusedError(str(body.get("info") or body.get("detail") or ""), str(body.get("code", "refused")))
    return body


def _answer(body: dict[str, Any]) -> EnrolAnswer:
    try:
        return EnrolAnswer.model_validate(body)
    except ValidationError:
        raise RefusedError("the gateway's answer does not fit; do the versions fit?") from None


def _store(folder: Path, url: str, answer: EnrolAnswer) -> Identity:
    about = {
        "node": answer.node,
        "gateway": answer.gateway,
        "url": url,
        "broker": answer.broker.model_dump(),
    }
    _write(folder / "node.crt", answer.certificate.encode(), 0o644)
    _write(folder / "ca.crt", answer.ca.encode(), 0o644)
    _write(folder / "upstream.json", json.dumps(about, indent=1).encode(), 0o644)  # last: it says that all is there
    identity = load_identity(folder)
    if identity is None:
        raise AssertionError("written just now")
    return identity


def _swap(folder: Path, url: str, answer: EnrolAnswer) -> None:
    _write(folder / "node.crt.next", answer.certificate.encode(), 0o644)
    _finish_swap(folder)
    _store(folder, url, answer)


def _finish_swap(folder: Path) -> None:
    # node.crt.next says that a renewal was answered; a crash between the two moves is finished at the next start.
    if (folder / "node.crt.next").exists():
        if (folder / "node.key.next").exists():
            (folder / "node.key.next").replace(folder / "node.key")
        (folder / "node.crt.next").replace(folder / "node.crt")


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


__all__ = ["BadInputError", "Identity", "certificate_life", "enrol", "ensure_identity", "load_identity", "renew_if_due"]
