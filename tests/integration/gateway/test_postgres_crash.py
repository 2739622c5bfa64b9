"""kill -9 of the server and of who writes to it: what was acknowledged is there, once, and all goes on by itself."""

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.engine import URL

from gateway.adapters import store_line
from gateway.adapters.store_postgres import PostgresStore
from gateway.adapters.store_tables import outbox
from gateway.links.tables import inbox
from gateway.ports.store import UPPER
from protocols.aio.clock import SystemClock
from protocols.envelope import Lane
from protocols.errors import StoreAwayError
from protocols.uplink import Receipt
from tests.support.postgres import Cluster, _program
from tests.support.until import until

pytestmark = [pytest.mark.external, pytest.mark.slow, pytest.mark.timeout(400)]
ROOT = Path(__file__).parents[3]
ROW = {"node": "320623-box", "epoch": "01J0000000000000000000000A", "lane": "live", "held": "{}"}


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    cluster = Cluster().start()
    asyncio.run(cluster.make_template())
    yield cluster
    cluster.remove()


@pytest.fixture
async def url(server: Cluster) -> URL:
    return await server.database()


def opened(url: URL, folder: Path, heard: list[object] | None = None) -> PostgresStore:
    publish = heard.append if heard is not None else lambda _: None
    return PostgresStore(url, "320600", SystemClock(), publish, folder / "store.mark")


async def owe(store: PostgresStore, count: int = 1) -> None:
    async with store.unit() as uow:
        for number in range(count):
            await uow.owe(UPPER, Lane.LIVE, uow.mint("cn.silian.test.v1", {"number": number}))


class Writer:
    """The writing process, with what it said it had committed."""

    def __init__(self, url: URL, mark: Path) -> None:
        self.said: list[str] = []
        self.away = 0
        self._command = [sys.executable, "-m", "tests.support.pg_writer", url.render_as_string(), str(mark)]
        self._process: subprocess.Popen[bytes] | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(*self._command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        while line := (await self._process.stdout.readline()).decode().strip():
            if line == "away":
                self.away += 1
            else:
                self.said.append(line)

    async def goes_on(self) -> None:
        before = len(self.said)
        await until(lambda: len(self.said) > before + 10, 60)

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._reading


@contextlib.asynccontextmanager
async def writing(url: URL, mark: Path) -> AsyncIterator[Writer]:
    writer = Writer(url, mark)
    await writer.start()
    yield writer
    await writer.kill()


async def owed(store: PostgresStore) -> tuple[list[int], list[str]]:
    async with store.reading() as reader:
        rows = (await reader.execute(select(outbox.c.seq, outbox.c.body).order_by(outbox.c.seq))).all()
    return [row.seq for row in rows], [json.loads(row.body)["event"]["id"] for row in rows]


async def test_nothing_acknowledged_is_lost_when_server_and_writers_are_killed(
    server: Cluster, url: URL, tmp_path: Path
) -> None:
    async with writing(url, tmp_path / "a.mark") as one, writing(url, tmp_path / "b.mark") as other:
        await one.goes_on()
        await other.goes_on()
        for _ in range(3):
            before = one.away, other.away
            server.kill()
            await until(lambda before=before: one.away > before[0] and other.away > before[1])
            server.start()
            await one.goes_on()
            await other.goes_on()
        await other.kill()
        await one.goes_on()
        await other.start()
        await other.goes_on()
    async with opened(url, tmp_path) as store:
        numbers, events = await owed(store)
    assert numbers == list(range(1, len(numbers) + 1)), "no number is missing or used twice"
    assert len(set(events)) == len(events)
    acknowledged = set(one.said) | set(other.said)
    assert acknowledged <= set(events)
    # What is there and was not acknowledged is a commit whose answer a kill cut off.
    assert len(events) - len(acknowledged) <= 10


async def test_a_database_that_is_away_is_a_state_and_ends_by_itself(server: Cluster, url: URL, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as store:
        heard: list[str] = []
        store.watch([inbox], lambda: heard.append("look again"))
        await owe(store, 2)
        server.kill()
        await until(lambda: not store.health.up)
        with pytest.raises(StoreAwayError, match=f"127.0.0.1:{server.port}"):
            await owe(store)
        with pytest.raises(StoreAwayError):
            async with store.reading():
                pass
        server.start()
        await until(lambda: store.health.up)
        assert store.health.losses == 1
        assert heard, "notices may have been missed"
        await owe(store, 1)
        assert [parcel.first for parcel in await store.outbox(UPPER).pending(Lane.LIVE, 0, 10)] == [1, 2, 3]


class CutAtCommit:
    """A way to the server that swallows the answer to a commit and breaks; what follows goes through."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self.cut = False
        self.pass_on = True
        self.frozen = False
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "CutAtCommit":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.wait_for(asyncio.gather(*self._serving), 20)  # the store has closed its ends

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.current_task())
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        answers = asyncio.ensure_future(_pour(up_reader, writer))
        try:
            await self._ask(reader, up_reader, up_writer, answers)
        except ConnectionError:
            pass
        finally:
            answers.cancel()
            for end in (up_writer, writer):
                end.transport.abort()
            await asyncio.gather(answers, up_writer.wait_closed(), writer.wait_closed(), return_exceptions=True)

    async def _ask(self, reader, up_reader, up_writer, answers) -> None:
        while data := await reader.read(65536):
            if self.frozen:
                continue
            if self.cut and b"COMMIT" in data:
                self.cut = False
                answers.cancel()
                await asyncio.gather(answers, return_exceptions=True)
                if self.pass_on:
                    up_writer.write(data)
                    await up_reader.read(1)  # the commit has been answered
                return
            up_writer.write(data)


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.transport.abort()


@pytest.mark.parametrize("happened", [True, False])
async def test_a_commit_whose_answer_is_lost_is_never_guessed(
    server: Cluster, url: URL, tmp_path: Path, happened: bool
) -> None:
    heard: list[object] = []
    async with CutAtCommit(server.port) as line, opened(url.set(port=line.port), tmp_path, heard) as store:
        await owe(store, 1)
        line.cut, line.pass_on = True, happened

        async def doubtful() -> None:
            async with store.unit() as uow:
                await uow.owe(UPPER, Lane.LIVE, uow.mint("cn.silian.test.v1", {}))
                uow.after_commit(lambda: heard.append("remembered"))
                uow.tell("told")

        with pytest.raises(StoreAwayError):
            await doubtful()
        await owe(store, 1)
        assert heard == (["remembered", "told"] if happened else [])
        parcels = await store.outbox(UPPER).pending(Lane.LIVE, 0, 10)
        assert [parcel.first for parcel in parcels] == ([1, 2, 3] if happened else [1, 2])
        assert store.waiting()[UPPER, Lane.LIVE] == len(parcels)


async def test_a_server_that_answers_no_more_ends_what_waits_for_it(
    server: Cluster, url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_line, "PROBE_S", 0.5)
    monkeypatch.setattr(store_line, "CONNECT_S", 1.0)
    async with CutAtCommit(server.port) as line, opened(url.set(port=line.port), tmp_path) as store:
        await owe(store, 1)
        line.frozen = True
        with pytest.raises(StoreAwayError):
            await owe(store, 1)
        assert not store.health.up
        line.frozen = False
        await until(lambda: store.health.up)
        await owe(store, 1)
        assert [parcel.first for parcel in await store.outbox(UPPER).pending(Lane.LIVE, 0, 10)] == [1, 2]


async def test_a_dump_restored_elsewhere_takes_a_new_epoch(server: Cluster, url: URL, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as store:
        await owe(store, 2)
        old = store.epoch
    away = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "silian"]
    subprocess.run([_program("pg_dump"), *away, "-Fc", "-f", tmp_path / "dump", str(url.database)], check=True)
    await server.command("CREATE DATABASE restored OWNER silian")
    restore = [_program("pg_restore"), *away, "-d", "restored", "--no-owner", tmp_path / "dump"]
    subprocess.run(restore, check=True)
    async with opened(url.set(database="restored"), tmp_path) as store:
        assert store.epoch != old
        assert len(await store.outbox(UPPER).pending(Lane.LIVE, 0, 10)) == 2
        await owe(store, 1)
        epoch = store.epoch
    async with opened(url.set(database="restored"), tmp_path) as store:
        assert store.epoch == epoch, "once is enough"


async def test_an_older_copy_is_noticed_while_running_and_at_the_start(
    server: Cluster, url: URL, tmp_path: Path
) -> None:
    async with opened(url, tmp_path) as store:
        await owe(store, 2)
        server.stop()
        copy(server.data, tmp_path / "copy")
        server.start()
        await owe(store, 5)
        first = store.epoch
        put_back(server, tmp_path / "copy")
        await until(lambda: store.health.up and store.epoch != first)
        assert len(await store.outbox(UPPER).pending(Lane.LIVE, 0, 10)) == 2
        assert (await store.outbox(UPPER).settle(receipt(store, first, 7))).stored == 0
        await owe(store, 5)
        second = store.epoch
    put_back(server, tmp_path / "copy")
    async with opened(url, tmp_path) as store:
        assert store.epoch not in {first, second}


def receipt(store: PostgresStore, epoch: str, high: int) -> Receipt:
    values = {"node": "320000", "epoch": epoch, "lane": Lane.LIVE, "stored": ((1, high),), "high": high}
    return Receipt.model_validate({**values, "store_epoch": store.epoch, "at": datetime.now(UTC)})


def copy(data: Path, to: Path) -> None:
    subprocess.run(["cp", "-a", data, to], check=True)


def put_back(server: Cluster, older: Path) -> None:
    server.stop()
    shutil.rmtree(server.data)
    copy(older, server.data)
    server.start()
