"""Signing a warning with the node's Ed25519 key, and telling whether a signature holds.

The signature covers the document's very bytes and is detached: it travels beside the document (`X-Silian-Signature`,
`warning.issued`), so that any CAP reader takes the document as it is.
"""

from typing import TYPE_CHECKING, Final

from gateway.web.signatures import public_of, sign_for, verify_for

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["PURPOSE", "public_of", "sign", "verify"]
PURPOSE: Final = b"silian warning v1\n"


def sign(key: "Ed25519PrivateKey", document: bytes) -> str:
    """Return the signature in base64."""
    return sign_for(PURPOSE, key, document)


def verify(document: bytes, signature: str, public: str) -> None:
    """Raise BadInputError where the signature does not hold."""
    verify_for(PURPOSE, document, signature, public)
