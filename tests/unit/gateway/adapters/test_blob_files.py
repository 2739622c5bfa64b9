"""Blobs on the disk: named by their content, whole or not there."""

import asyncio
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


async def test_the_same_picture_stored_by_several_at_once_is_whole(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    for number in range(20):
        content = bytes([number]) * 50_000
        names = await asyncio.gather(*(blobs.put(content) for _ in range(8)))
        assert len(set(names)) == 1
        assert await blobs.get(names[0]) == content
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()], "nothing half done is left"


async def test_a_blob_whose_time_is_over_is_removed_and_one_that_is_not_there_is_fine(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    name = await blobs.put(b"picture")
    assert blobs.fault(name) is None
    await blobs.remove(name)
    await blobs.remove(name)
    assert name in (blobs.fault(name) or "")
