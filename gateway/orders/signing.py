"""Signing what an issuer says of an order, and telling whether it holds."""

from typing import TYPE_CHECKING, Final

from gateway.web.signatures import public_of, sign_for, verify_for

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["public_of", "sign_document", "sign_later", "verify_document", "verify_later"]
DOCUMENT: Final = b"silian order v1\n"
LATER: Final = b"silian order later v1\n"


def sign_document(key: "Ed25519PrivateKey", text: str) -> str:
    """Return the signature over an order's canonical document, in base64."""
    return sign_for(DOCUMENT, key, text.encode())


def sign_later(key: "Ed25519PrivateKey", text: str) -> str:
    """Return the signature over what was said later, in base64."""
    return sign_for(LATER, key, text.encode())


def verify_document(text: str, signature: str, public: str) -> None:
    """Raise BadInputError where the signature does not hold."""
    verify_for(DOCUMENT, text.encode(), signature, public)


def verify_later(text: str, signature: str, public: str) -> None:
    """Raise BadInputError where the signature does not hold."""
    verify_for(LATER, text.encode(), signature, public)
