"""The chain of evidence on a real store and real files."""

import sqlite3
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import SQLAlchemyError

from gateway import doctor
from gateway.adapters.blob_files import FileBlobs
from gateway.adapters.store_sqlite import SqliteStore
from gateway.events import EventBus
from gateway.metrics import Metrics
from gateway.rollcall.evidence import Evidence, Item
from gateway.rollcall.rules.chain import EvidenceKind
from gateway.rollcall.tables import EVIDENCE
from gateway.settings import Settings
from protocols.aio.clock import ManualClock, SystemClock
from protocols.errors import BadInputError, NotFoundError
from tests.support.databases import at_newest_schema

CALL, OTHER = "0" * 25 + "1", "0" * 25 + "2"
AT = datetime(2026, 5, 1, 8, tzinfo=UTC)


def still(content=b"picture", note=""):
    return Item(EvidenceKind.STILL, content, "image/jpeg", AT, note)


@asynccontextmanager
async def kept(folder, clock=None, days=180):
    clock = clock or SystemClock()
    file = folder / "gateway.db"
    if not file.exists():
        at_newest_schema(file)
    async with SqliteStore(file, "320600", clock, EventBus().publish) as store:
        yield Evidence(store, FileBlobs(folder / "blobs"), clock, Metrics(), retention_days=days), store


async def test_what_is_kept_is_found_in_order_and_read_back(tmp_path):
    async with kept(tmp_path) as (evidence, _):
        names = await evidence.keep(CALL, "320623", [still(b"one", "首幅"), still(b"two")])
        await evidence.keep(CALL, "320681", [Item(EvidenceKind.CLIP, b"clip", "video/mp4", AT)])
        found = await evidence.of(CALL, "320623")
        assert [(one.kind, one.number, one.sha256, one.note) for one in found] == [
            (EvidenceKind.STILL, 1, names[0], "首幅"),
            (EvidenceKind.STILL, 2, names[1], ""),
        ]
        link, content = await evidence.content(CALL, "320623", names[1])
        assert (content, link.media_type, link.octets) == (b"two", "image/jpeg", 3)
        assert len(await evidence.of(CALL)) == 3
        verdict = await evidence.verify()
        assert (verdict.links, verdict.fault, len(verdict.files)) == (3, None, 3)


async def test_the_same_file_of_a_point_is_kept_once(tmp_path):
    async with kept(tmp_path) as (evidence, _):
        await evidence.keep(CALL, "320623", [still(), still()])
        await evidence.keep(CALL, "320623", [still()])
        assert len(await evidence.of(CALL, "320623")) == 1
        await evidence.keep(OTHER, "320623", [still()])
        assert len(await evidence.of(OTHER, "320623")) == 1


async def test_evidence_of_another_point_is_not_given_out(tmp_path):
    async with kept(tmp_path) as (evidence, _):
        (name,) = await evidence.keep(CALL, "320623", [still()])
        with pytest.raises(NotFoundError):
            await evidence.content(CALL, "320681", name)


async def test_rows_can_be_neither_changed_nor_deleted(tmp_path):
    async with kept(tmp_path) as (evidence, store):
        await evidence.keep(CALL, "320623", [still()])
        for statement in (update(EVIDENCE).values(note="x"), delete(EVIDENCE)):
            with pytest.raises(SQLAlchemyError, match="append-only"):
                async with store.unit() as uow:
                    await uow.execute(statement)
        assert (await evidence.verify()).fault is None


async def test_after_its_time_a_file_is_deleted_and_the_deletion_logged(tmp_path):
    clock = ManualClock(AT)
    async with kept(tmp_path, clock, days=180) as (evidence, _):
        (old,) = await evidence.keep(CALL, "320623", [still(b"old")])
        (shared,) = await evidence.keep(CALL, "320681", [still(b"shared")])
        await clock.advance(timedelta(days=170).total_seconds())
        await evidence.keep(OTHER, "320681", [still(b"shared")])
        assert await evidence.tidy() == 0
        await clock.advance(timedelta(days=11).total_seconds())
        assert await evidence.tidy() == 1, "the file that a younger roll call names too stays"
        assert await evidence.tidy() == 0
        with pytest.raises(NotFoundError):
            await evidence.content(CALL, "320623", old)
        assert not (tmp_path / "blobs" / old[:2] / old).exists()
        assert (await evidence.content(OTHER, "320681", shared))[1] == b"shared"
        verdict = await evidence.verify()
        assert (verdict.links, verdict.fault, verdict.files) == (4, None, {shared})


async def test_a_chain_goes_on_after_a_restart(tmp_path):
    for number in range(3):
        async with kept(tmp_path) as (evidence, _):
            await evidence.keep(CALL, "320623", [still(bytes([number]))])
            assert (await evidence.verify()).links == number + 1


def settings(folder):
    return Settings.model_validate({"centre": {"code": "320600"}, "state": {"dir": folder}})


async def test_doctor_finds_one_changed_byte_of_a_file_and_of_a_row(tmp_path):
    assert doctor.evidence(settings(tmp_path / "none")).good
    async with kept(tmp_path) as (evidence, _):
        names = await evidence.keep(CALL, "320623", [still(b"one"), still(b"two"), still(b"three")])
    found = doctor.evidence(settings(tmp_path))
    assert found.good
    assert found.detail.startswith("3 links, 3 files, all whole")
    file = tmp_path / "blobs" / names[1][:2] / names[1]
    file.write_bytes(b"twO")
    found = doctor.evidence(settings(tmp_path))
    assert not found.good
    assert names[1] in found.detail
    async with kept(tmp_path) as (evidence, _):
        with pytest.raises(BadInputError, match="changed on the disk"):
            await evidence.content(CALL, "320623", names[1])
    file.unlink()
    assert not doctor.evidence(settings(tmp_path)).good
    file.write_bytes(b"two")
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as database:
        database.execute("DROP TRIGGER roll_call_evidence_no_update")
        database.execute("UPDATE roll_call_evidence SET taken_at = taken_at + 1 WHERE seq = 2")
        database.commit()
    found = doctor.evidence(settings(tmp_path))
    assert found.detail == "evidence 2 was changed after it was written"
    assert found.advice
    (tmp_path / "gateway.db").write_bytes(b"this is no database" * 100)
    assert not doctor.evidence(settings(tmp_path)).good
