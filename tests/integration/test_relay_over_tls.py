"""Off loopback a gateway speaks TLS under its own authority: a relay trusts what was pinned, and nobody else."""

import ssl
from datetime import UTC, datetime

import pytest

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.enrolment.authority import Authority
from gateway.web.server import HttpServer, Listen
from protocols.errors import LinkError
from tests.support.media_tier import Tier
from tests.support.peers import publisher
from tests.support.posts import whip
from tests.support.rooms import Ways

ROOM = "320612/room"


@pytest.fixture
async def province(tmp_path):
    async with Tier(Ways.city(("320612",), here="320000"), tmp_path / "province") as tier:
        yield tier


@pytest.mark.parametrize("pinned", [True, False])
async def test_a_relay_over_tls(tmp_path, province, pinned):
    authority = Authority.load(tmp_path / "pki", "320000", datetime.now(UTC))
    own = authority.server_files("https", ("127.0.0.1",), datetime.now(UTC))
    context = ssl.create_default_context()
    if pinned:
        context.load_verify_locations(cadata=authority.pem)
    token = province.media.publish_pass(ROOM, "320600").token
    listen = Listen("127.0.0.1", 0, own.certificate, own.key)
    async with (
        HttpServer(province.site, listen, "https") as server,
        EmbeddedMediaEngine(state_dir=tmp_path / "city", trust=lambda: context) as city,
        publisher(whip(city, ROOM), "320612", rate=8),
    ):
        url = f"https://127.0.0.1:{server.port}/whip/{ROOM}"
        if not pinned:
            with pytest.raises(LinkError):
                await city.relay(ROOM, url, token)
            return
        await city.relay(ROOM, url, token)
        async with province.views(ROOM) as seen:
            await seen.sees("320612", 3)
