"""What one crew of workers shares, and where it sends whom; real workers are in `tests/contracts/media`."""

import asyncio
from pathlib import Path

import pytest

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.adapters.media_embedded.rules.placement import Placement
from gateway.adapters.media_embedded.wire import Limit, Reply, Request
from gateway.adapters.media_embedded.workers import Crew
from protocols.errors import ConfigError, LinkError
from tests.support.peers import until


class PaperLink:
    """Takes requests, and answers when the loop turns."""

    def __init__(self) -> None:
        self.taken: list[Request] = []

    async def request(self, request: Request) -> tuple[Reply, bytes]:
        await asyncio.sleep(0)
        self.taken.append(request)
        return Reply(0), b""


def crew_of(*names: str) -> tuple[Crew, dict[str, PaperLink]]:
    crew = Crew(Placement(), lambda *_: None, lambda *_: None)
    links = {name: PaperLink() for name in names}
    crew.links.update(links)
    for name in names:
        crew.placement.joined(name)
    return crew, links


async def test_relays_share_one_limit_over_all_workers() -> None:
    crew, links = crew_of("0", "1", "2")
    crew.uplink_bps = 8_000_000
    crew.share_uplink({"0": 1, "1": 0, "2": 0})
    crew.share_uplink({"0": 1, "1": 3, "2": 0})
    await until(lambda: links["0"].taken and links["1"].taken)
    await until(lambda: links["0"].taken[-1] == Limit(2_000_000))
    assert links["1"].taken[-1] == Limit(6_000_000)
    assert not links["2"].taken
    await crew.stop_sharing()


async def test_without_a_limit_nothing_is_said() -> None:
    crew, links = crew_of("0", "1")
    crew.share_uplink({"0": 1, "1": 3})
    await asyncio.sleep(0)
    assert not links["0"].taken


def test_nobody_is_sent_to_a_worker_that_is_not_there() -> None:
    crew, _ = crew_of()
    for ask in (crew.wall, lambda: crew.home("320623/room"), lambda: crew.viewer("320623/room")):
        with pytest.raises(LinkError, match="restarted"):
            ask()


async def test_ports_end_somewhere(tmp_path: Path) -> None:
    engine = EmbeddedMediaEngine(state_dir=tmp_path, port=65535)
    engine.workers = 2
    with pytest.raises(ConfigError, match="65535"):
        async with engine:
            raise AssertionError("it must not start")
