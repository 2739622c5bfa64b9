"""Ed25519 signatures (RFC 8032) of this node over documents of the rooms, and telling whether one holds.

A word for the purpose before the document is signed too, so that a signature given for another purpose is none here.
"""

import base64
from typing import TYPE_CHECKING

from protocols.errors import BadInputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def sign_for(purpose: bytes, key: "Ed25519PrivateKey", document: bytes) -> str:
    """Return the detached signature in base64."""
    return base64.b64encode(key.sign(purpose + document)).decode()


def public_of(key: "Ed25519PrivateKey") -> str:
    """Return the raw public key in base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def verify_for(purpose: bytes, document: bytes, signature: str, public: str) -> None:
    """Raise BadInputError where the signature does not hold for this purpose."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
        key.verify(base64.b64decode(signature, validate=True), purpose + document)
    except (InvalidSignature, ValueError):
        raise BadInputError("the signature does not hold for this document and key") from None
