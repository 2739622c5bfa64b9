"""Blobs on the disk: named by their content, whole or not there."""

from pathlib import Path

import pytest

from gateway.adapters.blob_files import FileBlobs
from protocols.errors import BadInputError, NotFoundError


async def test_what_was_put_is_found_by_its_name(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    name = await blobs.put(b"picture")
    assert await blobs.put(b"picture") == name
    assert await blobs.get(name) == b"picture"
    assert len(list((tmp_path / "blobs").rglob("*.*"))) == 0  # no half-written file is left


async def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    name = await blobs.put(b"picture")
    (tmp_path / name[:2] / name).write_bytes(b"forged")
    with pytest.raises(BadInputError):
        await blobs.get(name)


@pytest.mark.parametrize("name", ["0" * 64, "../../etc/passwd", "", "Z" * 64])
async def test_unknown_and_foreign_names_are_not_found(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError):
        await FileBlobs(tmp_path).get(name)
