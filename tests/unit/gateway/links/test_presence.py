"""Changes of links are reported in order, also those that the database could not take at once."""

import asyncio

from gateway.links.presence import Change, Watch
from protocols.aio.clock import ManualClock
from protocols.errors import StoreAwayError
from protocols.health import Heartbeat, LinkReason, LinkStatus, Presence

NODE = "320623-box"


async def test_what_could_not_be_stored_is_reported_once_the_database_is_back() -> None:
    clock, said, away = ManualClock(), list[Change](), False

    async def report(change: Change) -> None:
        if away:
            raise StoreAwayError("away")
        said.append(change)

    watch = Watch(clock, report, lambda: True)
    running = asyncio.ensure_future(watch.run())
    session = "01J0000000000000000000000A"
    await watch.presence(NODE, Presence(node=NODE, online=True, session=session, at=clock.now(), version="1"))
    await watch.heartbeat(NODE, Heartbeat(node=NODE, sent_at=clock.now(), number=1))
    assert [change.status for change in said] == [LinkStatus.UP]
    away = True
    stopped = Presence(node=NODE, online=False, session=session, at=clock.now(), reason=LinkReason.AGENT_STOPPED)
    await watch.presence(NODE, stopped)
    await clock.advance(10)
    assert len(said) == 1
    away = False
    await clock.advance(2)
    assert [(change.status, change.reason) for change in said[1:]] == [(LinkStatus.DOWN, LinkReason.AGENT_STOPPED)]
    await clock.advance(10)
    assert len(said) == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
