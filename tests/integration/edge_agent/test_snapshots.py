"""The last rung: pictures over HTTP where sessions fail, from the real publisher and a test card, and their end."""

import asyncio
import time
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from edge_agent.cameras.feed import Feed
from edge_agent.cameras.preview import Preview, fitting
from edge_agent.media.session import SILENT_S
from edge_agent.media.snapshot import Snapshots
from protocols.aio.clock import SystemClock
from protocols.aio.h264 import Unit
from protocols.aio.tasks import Supervisor
from protocols.snapshot import MOST_BYTES, jpeg_size, times_of
from protocols.testmark import decode
from tests.integration.edge_agent.test_ladder import flowing, mute
from tests.support.until import until

STREAM = "320623/room"
AWAY = (503, "worker_lost")


@pytest.fixture
async def snapshots(publisher, card):
    made = Snapshots(publisher, {STREAM: Preview(card.video)}, SystemClock())
    async with Supervisor("snapshots") as tasks:
        tasks.start("snapshots", made.run)
        yield made


async def test_what_no_session_can_carry_is_posted_until_one_can(server, publisher, snapshots):
    server.refuse = AWAY
    publisher.publish(server.order(STREAM))
    await until(lambda: snapshots.counters["sent"] >= 2, 30)
    stream, token, headers, body = server.snapshots[-1]
    assert (stream, token, headers["content-type"]) == (STREAM, "t1", "image/jpeg")
    assert jpeg_size(body) == (640, 360)
    taken_at, age_s = times_of(headers["x-snapshot-taken-at"], headers["x-snapshot-age-ms"])
    assert age_s < 10
    picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_GRAYSCALE)
    mark = decode(640, 360, lambda x, y: float(picture[y, x]))
    assert mark.code == "320623"
    # The time that is told is that of the picture, not of the sending.
    assert abs(mark.age_ms(round(taken_at.timestamp() * 1000))) < 600
    assert (datetime.now(UTC) - taken_at).total_seconds() < 15

    server.refuse = None
    await until(publisher.names)
    posted = len(server.snapshots)
    await flowing(server.sessions[0])
    assert publisher.dark() == {}
    assert len(server.snapshots) == posted
    assert snapshots.counters["sent"] + snapshots.counters["stopped"] == posted


async def test_a_session_that_falls_silent_gives_way_and_takes_over_again(server, publisher, snapshots):
    publisher.publish(server.order(STREAM))
    await until(lambda: server.sessions and server.sessions[0].frames)
    _, session = next(publisher.sessions())
    await until(lambda: session.heard)
    assert not server.snapshots
    again, server.refuse = mute(server.sessions[0]), AWAY
    await until(lambda: server.snapshots, SILENT_S + 15)
    assert publisher.names() == ()
    again()
    await until(publisher.names)
    assert publisher.dark() == {}


async def test_one_that_is_under_way_is_let_go_when_packets_flow(server, publisher, snapshots):
    server.refuse = AWAY
    server.snapshot_taken.clear()
    publisher.publish(server.order(STREAM))
    await until(lambda: server.snapshots, 20)
    server.refuse = None
    await until(lambda: snapshots.counters["stopped"] == 1, 20)
    assert publisher.names() == ("room",)
    assert snapshots.counters["sent"] == 0
    server.snapshot_taken.set()


async def test_a_refusal_is_counted_by_its_code(server, publisher, snapshots):
    server.refuse, server.snapshot_refused = AWAY, (409, "wrong_moment")
    publisher.publish(server.order(STREAM))
    await until(lambda: snapshots.counters["refused_wrong_moment"] == 1, 20)
    server.snapshot_refused = None
    await until(lambda: snapshots.counters["sent"] == 1, 30)


async def test_nobody_is_sent_pictures_that_nobody_waits_for(server, publisher, snapshots):
    server.refuse = AWAY
    publisher.publish(server.order(STREAM, layers=()))
    await until(lambda: publisher.counters["ended_failed"] >= 2)
    assert publisher.dark() == {}
    publisher.publish(server.order(STREAM, layers=("thumb",)))
    await until(publisher.dark)
    await publisher.unpublish(STREAM)
    assert publisher.dark() == {}


async def test_an_old_picture_is_none(server, publisher, card):
    class Stopped(Preview):
        async def shot(self):
            made = await super().shot()
            return type(made)(made.jpeg, made.arrived - 60)

    made = Snapshots(publisher, {STREAM: Stopped(card.video)}, SystemClock())
    server.refuse = AWAY
    publisher.publish(server.order(STREAM))
    async with Supervisor("snapshots") as tasks:
        tasks.start("snapshots", made.run)
        await until(lambda: made.counters["none"] == 1, 20)
    assert not server.snapshots


async def test_the_time_of_a_kept_picture_is_that_of_its_arrival(card):
    subscription = card.video.subscribe()
    unit = await subscription.next()
    subscription.close()
    feed = Feed("room", keep_group=True)
    feed.put(Unit(unit.data, key=True, pts=0, arrived=time.monotonic() - 60))
    await asyncio.sleep(0)
    assert time.monotonic() - (await Preview(feed).shot()).arrived > 59


def test_a_picture_is_made_to_fit_or_not_sent():
    noise = np.random.default_rng(1).integers(0, 256, (1080, 1920, 3), np.uint8)
    assert len(fitting(noise)) <= MOST_BYTES
    assert fitting(noise, 1000) is None
    assert jpeg_size(fitting(np.zeros((1080, 1920, 3), np.uint8))) == (960, 540)
