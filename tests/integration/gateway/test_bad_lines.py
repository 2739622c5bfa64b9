"""Pictures over bad lines: real peers, real worker, packets lost and late on both ways."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.bench.impair import BadLine
from gateway.ports.media import SessionKind, SessionStats
from tests.support.lossy import bad, over
from tests.support.peers import Publisher, Viewer, publisher, until, viewer
from tests.support.posts import whep, whip

ROOM = "320623/room"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EmbeddedMediaEngine]:
    async with EmbeddedMediaEngine(state_dir=tmp_path / "engine") as made:
        yield made


@contextlib.asynccontextmanager
async def stage(
    engine: EmbeddedMediaEngine, loss: float = 0.0, jitter_s: float = 0.0
) -> AsyncIterator[tuple[Publisher, Viewer, BadLine, BadLine]]:
    """A publisher and a viewer, each behind a bad line."""
    async with (
        BadLine(engine.port, up=bad(loss, jitter_s), down=bad(loss, jitter_s), seed=11) as source,
        BadLine(engine.port, up=bad(loss, jitter_s), down=bad(loss, jitter_s), seed=12) as sink,
        publisher(over(whip(engine, ROOM), source), rate=25) as sent,
        viewer(over(whep(engine, ROOM), sink)) as seen,
    ):
        yield sent, seen, source, sink


async def line_of(engine: EmbeddedMediaEngine, kind: SessionKind) -> SessionStats:
    (found,) = [line for line in (await engine.stats()).lines if line.kind is kind]
    return found


@pytest.mark.parametrize("loss", [0.01, 0.05])
async def test_the_picture_goes_on_and_what_is_lost_comes_again(engine: EmbeddedMediaEngine, loss: float) -> None:
    async with stage(engine, loss, 0.02) as (_, seen, source, sink):
        await seen.sees("320623", 75)
        await until(lambda: source.counts["lost"] >= 3)
        await until(lambda: sink.counts["lost"] >= 3)
        await seen.sees("320623", 50)
        (stream,) = (await engine.stats()).streams
        line = await line_of(engine, SessionKind.WHEP)
        assert stream.lost <= max(2, source.counts["lost"] // 4), "most were repaired before the viewers missed them"
        assert (line.transport, line.profile[:5]) == ("udp", "SRTP_")
        assert line.sent_bps > 0


async def test_a_cut_of_five_seconds_needs_no_new_session(engine: EmbeddedMediaEngine) -> None:
    async with stage(engine) as (_, seen, source, sink):
        await seen.sees("320623", 10)
        before = {line.session_id for line in (await engine.stats()).lines}
        for line in (source, sink):
            line.cut()
        await asyncio.sleep(5)  # the cut itself: its length is what is asked here
        for line in (source, sink):
            line.cut(off=False)
        await seen.sees("320623", 25)
        assert {line.session_id for line in (await engine.stats()).lines} == before
        assert sink.counts["cut"] > 0
