"""Blobs as files, named by their content: `<dir>/ab/abcdef...`."""

import asyncio
import errno
import hashlib
import os
import re
import secrets
from pathlib import Path

from protocols.errors import BadInputError, NotFoundError, SpoolFullError

_NAME = re.compile(r"^[0-9a-f]{64}$")


class FileBlobs:
    """`gateway.ports.blob.BlobStore` on a directory; a file appears whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def put(self, content: bytes) -> str:
        """Store and return the name; storing the same bytes twice is harmless. Raises SpoolFullError."""
        return await asyncio.to_thread(self._put, content)

    async def get(self, name: str) -> bytes:
        """Return the bytes, verified against the name. Raises NotFoundError, BadInputError on a changed file."""
        return await asyncio.to_thread(self._get, name)

    async def remove(self, name: str) -> None:
        """Forget a blob whose time is over; one that is not there is fine."""
        if _NAME.match(name):
            await asyncio.to_thread(self._path(name).unlink, missing_ok=True)

    def _put(self, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        path = self._path(name)
        if path.exists():
            return name
        part = path.with_name(f".{name}.{secrets.token_hex(4)}")  # the same content may come twice at once
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            _sync(path.parent)
        except OSError as error:
            part.unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise SpoolFullError(f"no room for a picture in {self._directory}") from None
            raise
        return name

    def fault(self, name: str) -> str | None:
        """Say what is wrong with a blob, None where it is whole; blocks, for checks outside the gateway."""
        try:
            self._get(name)
        except (NotFoundError, BadInputError, OSError) as error:
            return str(error)
        return None

    def _get(self, name: str) -> bytes:
        if not _NAME.match(name):
            raise NotFoundError("a blob is named by 64 hex digits")
        try:
            content = self._path(name).read_bytes()
        except FileNotFoundError:
            raise NotFoundError(f"no blob {name}") from None
        if hashlib.sha256(content).hexdigest() != name:
            raise BadInputError(f"blob {name} was changed on the disk")
        return content

    def _path(self, name: str) -> Path:
        return self._directory / name[:2] / name


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
