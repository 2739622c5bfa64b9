"""Enrolment of a node at the gateway above: tokens, requests and answers.

An operator has a one-time token made for one node (`POST /api/v1/enrolments`) and carries it there. The token reads
`<node>.<secret>.<first 32 hex digits of the SHA-256 of the authority's certificate>`: the last part lets the node know
the authority before it trusts any connection. The node makes its key, sends a CSR (`POST /api/v1/enrol`) and gets a
certificate whose name (CN) is the node; that name is its access right at the broker. It renews after two thirds of the
certificate's life (`POST /api/v1/enrol/renew`), signing the new CSR with the old key.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import override

from protocols.errors import BadInputError
from protocols.ids import NODE_PATTERN, NodeId

SECRET_BYTES = 24
PIN_DIGITS = 32
RENEW_AFTER = 2 / 3
"""Share of a certificate's life after which it is renewed."""
_TOKEN = re.compile(rf"^(?P<node>{NODE_PATTERN[1:-1]})\.(?P<secret>[A-Za-z0-9_-]{{16,64}})\.(?P<pin>[0-9a-f]{{32}})$")


@dataclass(frozen=True, slots=True)
class EnrolmentToken:
    """What the node's operator carries. `str()` gives the wire form; it is a secret until used."""

    node: str
    secret: str
    pin: str

    @override
    def __str__(self) -> str:
        return f"{self.node}.{self.secret}.{self.pin}"

    @override
    def __repr__(self) -> str:
        return f"EnrolmentToken(node={self.node!r})"  # never the secret: a repr ends in logs


def parse_token(text: str) -> EnrolmentToken:
    """Read a token; raises BadInputError without repeating it."""
    found = _TOKEN.match(text.strip())
    if found is None:
        raise BadInputError("this is not an enrolment token; ask the upper tier for one: `silian enrol-token NODE`")
    return EnrolmentToken(found["node"], found["secret"], found["pin"])


def renewal_due(begin: datetime, end: datetime, now: datetime) -> bool:
    """Tell whether a certificate that lives from `begin` to `end` should be renewed at `now`."""
    return now >= begin + (end - begin) * RENEW_AFTER


class EnrolRequest(BaseModel):
    """Body of `POST /api/v1/enrol`. `csr` is PEM."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    token: str = Field(max_length=200)
    csr: str = Field(max_length=8192)


class RenewRequest(BaseModel):
    """Body of `POST /api/v1/enrol/renew`. `signature`: base64 ECDSA-SHA256 of the CSR's DER bytes by the old key."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    certificate: str = Field(max_length=8192)
    csr: str = Field(max_length=8192)
    signature: str = Field(max_length=1024)


class BrokerPlace(BaseModel):
    """Where the node links: its gateway's broker, always by mutual TLS."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    host: str
    port: int


class EnrolAnswer(BaseModel):
    """Answer to both: own certificate and the authority's, PEM, and the gateway's name and broker."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    node: NodeId
    gateway: NodeId
    certificate: str
    ca: str
    broker: BrokerPlace
