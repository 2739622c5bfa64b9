"""Noticing that a database is an older copy of itself.

A restored database would number new records with seqs that its peers already hold, and they would be taken for
duplicates. Two traces outside the database tell: which database it is (a copied file has another inode, a restored
cluster another timeline) and a *mark* file that grows after every commit and therefore never runs ahead of the
database that it belongs to.
"""

import os
from pathlib import Path


class Mark:
    """A number beside the database that only grows. Losing it is harmless; it is written without fsync."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def open(self) -> int:
        """Open the file and return the number in it; 0 for a new or unreadable one."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        text = os.pread(self._descriptor, 20, 0)
        return int(text) if text.isdigit() else 0

    def write(self, number: int) -> None:
        """Replace the number, after the commit that made it true."""
        os.pwrite(self._descriptor, b"%020d" % number, 0)

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def file_identity(database: Path) -> str:
    """Return device and inode of the database file."""
    found = database.stat()
    return f"{found.st_dev}:{found.st_ino}"
