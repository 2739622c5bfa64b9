"""A dispatch room on a real store, with neighbours on paper."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.adapters.store_sqlite import SqliteStore
from gateway.dispatch.machine import CallState
from gateway.dispatch.needs import DispatchNeeds
from gateway.dispatch.service import DispatchRules, DispatchService
from gateway.events import CallChanged, EventBus
from gateway.metrics import Metrics
from protocols.aio.clock import SystemClock
from protocols.command import CallAnswer, CallRing, Command
from tests.support.databases import at_newest_schema
from tests.support.rooms import Commands, Ways


@dataclass
class Granted:
    path: str
    token: str
    expires_at: datetime


@dataclass
class Streams:
    lives: set[str] = field(default_factory=set)
    held: dict[str, str] = field(default_factory=dict)
    pulled: dict[str, str] = field(default_factory=dict)
    talking: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def hold(self, stream: str, holder: str) -> None:
        self.held[stream] = holder

    def release(self, stream: str, holder: str) -> None:
        self.held.pop(stream, None)

    def live(self, stream: str) -> bool:
        return stream in self.lives

    def play_pass(self, stream: str, holder: str, life: timedelta | None = None) -> Granted:
        return Granted(f"/whep/{stream}", f"play:{stream}", SystemClock().now())

    def publish_pass(self, stream: str, holder: str, life: timedelta | None = None) -> Granted:
        return Granted(f"/whip/{stream}", f"publish:{stream}", SystemClock().now())

    def converse(self, key: str, voices: Sequence[str]) -> None:
        self.talking[key] = tuple(voices)

    def part(self, key: str) -> None:
        self.talking.pop(key, None)

    def keep_pulled(self, stream: str, whep_url: str, token: str) -> None:
        self.pulled[stream] = whep_url

    def drop_pulled(self, stream: str) -> None:
        self.pulled.pop(stream, None)


class Journal:
    def __init__(self) -> None:
        self.deeds: list[tuple[str, str]] = []

    async def record(self, entry) -> None:
        self.deeds.append((entry.actor, entry.action))


class Centre:
    """One gateway's dispatch room and its surroundings."""

    def __init__(self, path, ways: Ways, clock) -> None:
        self.bus = EventBus()
        self.changes: list[str] = []
        self.bus.listen(CallChanged, lambda event: self.changes.append(event.call_id))
        self.clock = clock
        self.ways = ways
        self.store = SqliteStore(at_newest_schema(path), ways.here, clock, self.bus.publish)
        self.commands = Commands(ways.here, clock)
        self.streams = Streams()
        self.journal = Journal()
        self.rules = DispatchRules(ring_s=2.0, answer_s=1.5)

    def service(self) -> DispatchService:
        needs = DispatchNeeds(
            self.store, self.ways, self.commands, self.streams, self.journal, self.clock, self.bus, Metrics()
        )
        return DispatchService(needs, base_url=lambda: f"http://{self.ways.here}", rules=self.rules)


def agent_answers(city: Centre, county: str = "320612") -> list[CallRing]:
    rung: list[CallRing] = []

    async def ring(command: Command) -> dict[str, object]:
        rung.append(CallRing.model_validate(command.args))
        answer = CallAnswer(answered_by="自动应答", answered_at=SystemClock().now(), callee_stream=f"{county}/room")
        return answer.model_dump(mode="json")

    async def end(command: Command) -> dict[str, object]:
        return {}

    city.commands.on(f"{county}-box", "call.ring", ring)
    city.commands.on(f"{county}-box", "call.end", end)
    return rung


async def reached(service: DispatchService, call_id: str, state: CallState):
    async with asyncio.timeout(20):
        while (record := await service.get(call_id)).state is not state:
            await asyncio.sleep(0.01)
    return record
