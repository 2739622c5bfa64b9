"""Tokens and certificates on the store. The authority's key stays inside `Authority`."""

import asyncio
import base64
import binascii
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import delete, func, insert, select, update

from gateway.enrolment.authority import Authority, read_csr, verify_signature
from gateway.enrolment.machine import TokenRow, TokenState, check_node, judge
from gateway.enrolment.tables import CERTIFICATES, TOKENS
from gateway.metrics import Metrics
from gateway.ports.store import Store, UnitOfWork
from gateway.settings import EnrolmentSection
from protocols.enrolment import (
    SECRET_BYTES,
    BrokerPlace,
    EnrolAnswer,
    EnrolmentToken,
    EnrolRequest,
    RenewRequest,
    parse_token,
)
from protocols.errors import BadInputError, NotAuthenticatedError
from protocols.tiers import CentreTable

logger = logging.getLogger(__name__)
_SENTENCES = {
    TokenState.USED: "the enrolment token was used before; have a new one made",
    TokenState.EXPIRED: "the enrolment token has ended; have a new one made",
    TokenState.UNKNOWN: "this gateway does not know the enrolment token",
}


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token for an operator's hands; it is not stored in this form."""

    token: EnrolmentToken
    expires_at: datetime


class Enrolment:
    """Enrolment at one gateway. `broker` tells where nodes link, asked at each enrolment."""

    def __init__(
        self,
        store: Store,
        authority: Authority,
        table: CentreTable,
        settings: EnrolmentSection,
        broker: Callable[[], BrokerPlace],
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._authority = authority
        self._table = table
        self._settings = settings
        self._broker = broker
        self._metrics = metrics
        self._expiry: dict[str, datetime] = {}
        self._enrolled: list[Callable[[str], Awaitable[None]]] = []

    def on_enrolled(self, listener: Callable[[str], Awaitable[None]]) -> None:
        """Await `listener` with each node that was given its first certificate."""
        self._enrolled.append(listener)

    @property
    def authority(self) -> Authority:
        """This tier's own authority."""
        return self._authority

    async def start(self) -> None:
        """Load when each node's certificate ends."""
        newest = select(CERTIFICATES.c.node, func.max(CERTIFICATES.c.expires_at).label("end")).group_by(
            CERTIFICATES.c.node
        )
        async with self._store.reading() as reader:
            self._expiry = {row.node: row.end for row in await reader.execute(newest)}
        self._metrics.live("certificate_expiry_timestamp_seconds", self._expiries)

    async def nodes(self) -> tuple[str, ...]:
        """Return the nodes that were let in or hold an open token: whoever may link here."""
        invited = select(TOKENS.c.node).where(TOKENS.c.used_at.is_(None))
        async with self._store.reading() as reader:
            waiting = (await reader.execute(invited)).scalars().all()
        return tuple(sorted({*self._expiry, *waiting}))

    def _expiries(self) -> list[tuple[tuple[str, ...], float]]:
        roles = {True: "gateway", False: "agent"}
        found = [((node, roles[len(node) == 6]), end.timestamp()) for node, end in self._expiry.items()]
        own = [((self._authority.node, name), end.timestamp()) for name, end in self._authority.own_ends().items()]
        return [*found, *own]

    async def invite(self, node: str, created_by: str) -> NewToken:
        """Make a token for `node`; earlier unused ones for it end. Raises BadIdentityError."""
        token = EnrolmentToken(node, secrets.token_urlsafe(SECRET_BYTES), self._authority.pin)
        async with self._store.unit() as unit:
            check_node(node, self._authority.node, self._table, unit.now.date())
            expires_at = unit.now + timedelta(hours=self._settings.token_hours)
            await unit.execute(delete(TOKENS).where(TOKENS.c.node == node, TOKENS.c.used_at.is_(None)))
            row = {"secret_hash": _hash(token.secret), "node": node, "created_by": created_by}
            await unit.execute(insert(TOKENS), row | {"created_at": unit.now, "expires_at": expires_at})
        logger.info("enrolment token made", extra={"node": node, "by": created_by})
        return NewToken(token, expires_at)

    async def enrol(self, request: EnrolRequest) -> EnrolAnswer:
        """Turn a token and a CSR into a certificate. Raises BadInputError, NotAuthenticatedError.

        The same token with the same key is answered again with the same certificate, until the token ends.
        """
        token = parse_token(request.token)
        csr = await asyncio.to_thread(read_csr, request.csr)
        secret_hash, key_hash = _hash(token.secret), _key_hash(csr)
        async with self._store.unit() as unit:
            row = (await unit.execute(select(TOKENS).where(TOKENS.c.secret_hash == secret_hash))).first()
            known = TokenRow(row.node, row.expires_at, row.used_at, row.key_hash) if row is not None else None
            state = judge(known, token.node, key_hash, unit.now)
            if state is TokenState.AGAIN and row is not None:
                return self._answer(token.node, row.certificate)
            if state is not TokenState.OPEN:
                self._metrics.count("enrolments_total", outcome=state)
                logger.warning("enrolment refused", extra={"node": token.node, "reason": state})
                raise NotAuthenticatedError(_SENTENCES[state])
            certificate = await self._issue(unit, csr, token.node, None)
            used = {"used_at": unit.now, "key_hash": key_hash, "certificate": certificate}
            await unit.execute(update(TOKENS).where(TOKENS.c.secret_hash == secret_hash).values(**used))
        self._issued(token.node, certificate, "enrolled")
        for listener in self._enrolled:
            await listener(token.node)
        return self._answer(token.node, certificate)

    async def renew(self, request: RenewRequest) -> tuple[str, EnrolAnswer]:
        """Renew a certificate that is in force; returns the node too. Raises BadInputError, NotAuthenticatedError."""
        try:
            old = x509.load_pem_x509_certificate(request.certificate.encode())
            signature = base64.b64decode(request.signature, validate=True)
        except (ValueError, binascii.Error):
            raise BadInputError("certificate or signature cannot be read") from None
        csr = await asyncio.to_thread(read_csr, request.csr)
        async with self._store.unit() as unit:
            node = self._authority.verify_issued(old, unit.now)
            verify_signature(old, signature, csr.public_bytes(Encoding.DER))
            issued = select(CERTIFICATES.c.node).where(CERTIFICATES.c.serial == _serial(old))
            if (await unit.execute(issued)).first() is None:
                raise NotAuthenticatedError("this certificate was not issued to a node; enrol with a new token")
            certificate = await self._issue(unit, csr, node, _serial(old))
        self._issued(node, certificate, "renewed")
        return node, self._answer(node, certificate)

    async def _issue(
        self, unit: UnitOfWork, csr: x509.CertificateSigningRequest, node: str, renewed_from: str | None
    ) -> str:
        check_node(node, self._authority.node, self._table, unit.now.date())
        pem = self._authority.issue_node(csr, node, timedelta(days=self._settings.certificate_days), unit.now)
        made = x509.load_pem_x509_certificate(pem.encode())
        row = {"serial": _serial(made), "node": node, "issued_at": unit.now, "renewed_from": renewed_from}
        await unit.execute(insert(CERTIFICATES), row | {"expires_at": made.not_valid_after_utc})
        return pem

    def _issued(self, node: str, certificate: str, outcome: str) -> None:
        self._expiry[node] = x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc
        self._metrics.count("enrolments_total", outcome=outcome)
        logger.info("certificate issued", extra={"node": node, "outcome": outcome})

    def _answer(self, node: str, certificate: str) -> EnrolAnswer:
        return EnrolAnswer(
            node=node,
            gateway=self._authority.node,
            certificate=certificate,
            ca=self._authority.pem,
            broker=self._broker(),
        )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()  # 192 random bits need no slow hash


def _key_hash(csr: x509.CertificateSigningRequest) -> str:
    return hashlib.sha256(csr.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _serial(certificate: x509.Certificate) -> str:
    return f"{certificate.serial_number:x}"
