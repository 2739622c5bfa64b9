"""A still of what is sent up: from the coded feed itself, shared, and honest where there is none."""

import asyncio

import cv2
import numpy as np
import pytest

from edge_agent.cameras import make_camera
from edge_agent.cameras.feed import Feed
from edge_agent.cameras.preview import Preview
from edge_agent.settings import CameraSettings
from protocols.aio.h264 import Unit
from protocols.errors import NotFoundError
from protocols.testmark import decode


async def test_the_still_shows_the_mark_of_the_camera():
    camera = make_camera(CameraSettings(name="room", kind="testcard", width=1280, height=720), "320623")
    camera.start()
    preview = Preview(camera.feed)
    try:
        one, two = await asyncio.gather(preview.jpeg(), preview.jpeg())
    finally:
        await camera.stop()
    assert one == two
    picture = cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (540, 960)
    assert decode(960, 540, lambda x, y: float(picture[y, x])).code == "320623"
    assert not camera.feed.wanted


async def test_no_picture_is_said(monkeypatch):
    monkeypatch.setattr("edge_agent.cameras.preview.WITHIN_S", 0.05)
    with pytest.raises(NotFoundError):
        await Preview(Feed("room", keep_group=False)).jpeg()


async def test_a_picture_that_cannot_be_decoded_is_no_picture():
    feed = Feed("room", keep_group=True)
    feed.put(Unit(b"\x00\x00\x00\x01\x65mud", key=True, pts=0, arrived=0.0))
    await asyncio.sleep(0)
    with pytest.raises(NotFoundError):
        await Preview(feed).jpeg()
