"""Signing a document with the node's Ed25519 key (RFC 8032), and telling whether a signature holds.

The signature covers the document's very bytes and is detached: it travels beside the document (`X-Silian-Signature`,
`warning.issued`), so that any CAP reader takes the document as it is. A word before the document is signed too, so
that a signature given for another purpose is none here.
"""

import base64
from typing import TYPE_CHECKING, Final

from protocols.errors import BadInputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PURPOSE: Final = b"silian warning v1\n"


def sign(key: "Ed25519PrivateKey", document: bytes) -> str:
    """Return the signature in base64."""
    return base64.b64encode(key.sign(PURPOSE + document)).decode()


def public_of(key: "Ed25519PrivateKey") -> str:
    """Return the raw public key in base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def verify(document: bytes, signature: str, public: str) -> None:
    """Raise BadInputError where the signature does not hold."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
        key.verify(base64.b64decode(signature, validate=True), PURPOSE + document)
    except (InvalidSignature, ValueError):
        raise BadInputError("the signature does not hold for this document and key") from None
