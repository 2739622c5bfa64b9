"""Tiers that reach one another by IPv6, alone or beside IPv4: relays upward, and sources that are pulled."""

import socket
from pathlib import Path

import aioice.ice
import pytest

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from protocols.errors import LinkError
from tests.support.engine_front import TOKEN, EngineFront
from tests.support.peers import publisher, viewer
from tests.support.posts import whep, whip

ROOM = "320623/room"
FOUR, SIX = "127.0.0.1", "::1"
BOTH = (FOUR, SIX)


def no_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind((SIX, 0))
    except OSError:
        return True
    return False


pytestmark = pytest.mark.skipif(no_ipv6(), reason="this machine has no IPv6 loopback")


@pytest.fixture(autouse=True)
def _peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publishers and viewers of these tests have both versions."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: list(BOTH))


@pytest.mark.parametrize(("county", "city"), [(BOTH, (SIX,)), ((SIX,), BOTH), ((SIX,), (SIX,)), (BOTH, BOTH)])
async def test_a_county_reaches_its_city_by_what_both_have(
    county: tuple[str, ...], city: tuple[str, ...], tmp_path: Path
) -> None:
    async with (
        EmbeddedMediaEngine(state_dir=tmp_path / "county", advertise=county) as below,
        EmbeddedMediaEngine(state_dir=tmp_path / "city", advertise=city) as above,
        EngineFront(above) as front,
        publisher(whip(below, ROOM), "320623", audio=True),
        viewer(whep(above, ROOM), audio=True) as seen,
    ):
        relay = await below.relay(ROOM, front.whip(ROOM), TOKEN)
        await seen.sees("320623", 3)
        await seen.hears()
        await below.end(relay)


async def test_a_source_is_pulled_by_ipv6(tmp_path: Path) -> None:
    async with (
        EmbeddedMediaEngine(state_dir=tmp_path / "one", advertise=(SIX,)) as one,
        EmbeddedMediaEngine(state_dir=tmp_path / "other", advertise=BOTH) as other,
        EngineFront(one) as front,
        publisher(whip(one, ROOM), "320623"),
        viewer(whep(other, ROOM)) as seen,
    ):
        await other.pull(ROOM, front.whep(ROOM), TOKEN)
        await seen.sees("320623", 3)


async def test_tiers_that_have_no_version_in_common_say_so(tmp_path: Path) -> None:
    async with (
        EmbeddedMediaEngine(state_dir=tmp_path / "county", advertise=(FOUR,)) as below,
        EmbeddedMediaEngine(state_dir=tmp_path / "city", advertise=(SIX,)) as above,
        EngineFront(above) as front,
        publisher(whip(below, ROOM)),
    ):
        with pytest.raises(LinkError, match=r"IPv6 .* IPv4"):
            await below.relay(ROOM, front.whip(ROOM), TOKEN)
