"""Who is heard and who speaks, by real Opus through the real worker: levels are read, no sound is decoded there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.events import FloorChanged
from gateway.ports.media import MediaEvent, SessionAnswer
from protocols.errors import BadMediaError
from tests.support.media_tier import PERSON, Tier
from tests.support.peers import ToneTrack, Viewer, publisher, until
from tests.support.posts import whip
from tests.support.rooms import Ways
from tests.support.walls import Wall, wall

COUNTIES = {"320612": 500, "320623": 700, "320681": 900, "320682": 1100}
CHIEF, CHIEF_HZ = "320600/call-chief", 1500
LOUD, LOW, FAINT = 16000, 4000, 30


class Listener:
    """The walls of a tier as a person opens them: through its rooms, not at its engine."""

    def __init__(self, tier: Tier) -> None:
        self._tier = tier
        self.assign = tier.media.walls.assign

    async def wall(self, offer: str) -> SessionAnswer:
        return await self._tier.media.wall_offer(PERSON.user, self._tier.media.wall_pass(PERSON.user).token, offer)

    def events(self) -> AsyncIterator[MediaEvent]:
        return self._tier.engine.events()


def room(code: str) -> str:
    return f"{code}/room"


async def rings(hung: Wall, *wanted: float) -> None:
    """Wait until these frequencies are heard; a look costs three transforms, so they are few."""
    async with asyncio.timeout(60):
        while sorted(tone for seen in hung.sounds if (tone := heard(seen))) != sorted(wanted):
            await asyncio.sleep(0.3)


def heard(seen: Viewer) -> float:
    return round(seen.tone() / 100) * 100.0


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[Tier]:
    async with Tier(Ways.city(tuple(COUNTIES), here="320600"), tmp_path) as tier:
        yield tier


@pytest.fixture
async def voices(city: Tier) -> AsyncIterator[dict[str, ToneTrack]]:
    """Let four counties and the commander speak, each in a pitch of its own."""
    tracks = {room(code): ToneTrack(hertz, LOW) for code, hertz in COUNTIES.items()} | {
        CHIEF: ToneTrack(CHIEF_HZ, FAINT)
    }
    async with AsyncExitStack() as stack:
        for stream, track in tracks.items():
            await stack.enter_async_context(publisher(whip(city.engine, stream), audio=track, video=False))
        yield tracks


async def test_command_is_heard_the_loudest_of_the_others_and_nobody_muted(city: Tier, voices) -> None:
    told: list[FloorChanged] = []
    city.bus.listen(FloorChanged, told.append)
    counties = [stream for stream in voices if stream != CHIEF]
    first, second, third, fourth = counties
    voices[first].loud = voices[second].loud = LOUD
    voices[third].loud = voices[fourth].loud = FAINT
    async with wall(Listener(city), 1, sounds=3) as hung:
        session = hung.answer.session_id
        answer = await city.http.put(f"{city.url}/wall/{session}/floor", json={"voices": list(voices)})
        assert answer.status_code == 200, answer.text

        await until(lambda: told and set(told[-1].heard) == {CHIEF, first, second}, 60)
        assert told[-1].heard[0] == CHIEF
        voices[CHIEF].loud = LOW  # so that the ear finds it too: it was forwarded all the time
        await rings(hung, 500.0, 700.0, 1500.0)

        # Somebody is muted: his place goes to nobody who says nothing, and not one packet of his is forwarded.
        await city.ask("PUT", f"/floor/{first}", muted=True)
        await until(lambda: told[-1].muted == (first,) and first not in told[-1].heard)
        standing = {one.slot.stream for one in city.media.walls.states(session)}
        assert standing == {CHIEF, second, None}
        voices[third].loud = LOUD
        await rings(hung, 700.0, 900.0, 1500.0)
        await city.ask("PUT", f"/floor/{first}", muted=False)

        # The floor goes to who is clearly louder, and the console is told.
        for stream in (CHIEF, first, second):
            voices[stream].loud = FAINT
        await until(lambda: told[-1].speaker == third, 60)
        voices[third].loud, voices[fourth].loud = FAINT, LOUD
        await until(lambda: told[-1].speaker == fourth, 60)

        await city.http.put(f"{city.url}/wall/{session}/floor", json={"voices": []})
        assert {one.slot.stream for one in city.media.walls.states(session)} == {None}


async def test_nobody_hears_the_own_voice(city: Tier, voices) -> None:
    own, other, *_ = voices
    voices[own].loud = voices[other].loud = LOUD
    told: list[FloorChanged] = []
    city.bus.listen(FloorChanged, told.append)
    async with wall(Listener(city), 1, sounds=1) as hung:
        with pytest.raises(BadMediaError, match="no slot audio"):
            await city.media.floors.listen(hung.answer.session_id, [own, other])
        await city.media.floors.listen(hung.answer.session_id, [own, other], own=own, places=1)
        await rings(hung, 700.0)
        assert all(own not in one.heard for one in told)


async def test_a_call_tells_which_of_its_sides_speaks(city: Tier, voices) -> None:
    told: list[FloorChanged] = []
    city.bus.listen(FloorChanged, told.append)
    far = room("320612")
    city.media.floors.converse("call-1", [CHIEF, far])
    await until(lambda: told and told[-1] == FloorChanged("call-1", far, told[-1].heard, ()), 60)
    voices[far].loud, voices[CHIEF].loud = FAINT, LOUD
    await until(lambda: told[-1].speaker == CHIEF, 60)
    city.media.floors.part("call-1")
    count = len(told)
    voices[far].loud, voices[CHIEF].loud = LOUD, FAINT
    await city.media.floors.step()
    assert len(told) == count
