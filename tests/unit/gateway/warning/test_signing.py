"""Signatures hold for the very bytes, the very key and this purpose alone."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.warning.signing import public_of, sign, verify
from protocols.errors import BadInputError

DOCUMENT = "<alert>红色</alert>".encode()


def test_a_signature_holds():
    key = Ed25519PrivateKey.generate()
    verify(DOCUMENT, sign(key, DOCUMENT), public_of(key))


@pytest.mark.parametrize("change", ["document", "signature", "key", "purpose", "junk", "short"])
def test_anything_changed_is_refused(change):
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    document, signature, public = DOCUMENT, sign(key, DOCUMENT), public_of(key)
    match change:
        case "document":
            document += b" "
        case "signature":
            signature = sign(other, DOCUMENT)
        case "key":
            public = public_of(other)
        case "purpose":
            signature = base64.b64encode(key.sign(DOCUMENT)).decode()
        case "junk":
            signature = "?" * 88
        case _:
            public = base64.b64encode(b"short").decode()
    with pytest.raises(BadInputError):
        verify(document, signature, public)
