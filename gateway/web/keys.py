"""Secret keys in the state directory: made once, mode 0600, never sent anywhere."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from protocols.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read; it appears whole or not at all, and is on the disk on return."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load_or_make_key(path: Path) -> "Ed25519PrivateKey":
    """Return the key in `path`, making it at the first start; raises ConfigError where the file is no such key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    if not path.exists():
        key = Ed25519PrivateKey.generate()
        write_secret(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return key
    try:
        found = load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise ConfigError(f"{path} is not a key: {error}; move it away to have a new one made") from None
    if not isinstance(found, Ed25519PrivateKey):
        raise ConfigError(f"{path} is not an Ed25519 key; move it away to have a new one made")
    return found
