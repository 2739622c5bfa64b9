"""Neighbours of the rooms media, roll call and dispatch, for tests of one room at a time."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import BaseModel

from gateway.ports.media import Still
from gateway.ports.store import UnitOfWork
from protocols.aio.clock import Clock, SystemClock, new_ulid
from protocols.command import Command, Outcome, Reply
from protocols.envelope import Event, Lane
from protocols.errors import NotFoundError, RefusedError, SilianError
from protocols.health import BoxHealth, CameraHealth, LinkReason, LinkStatus
from protocols.ids import is_gateway
from protocols.sharing import Share
from protocols.tiers import NANTONG, Centre, CentreTable, Tier


@dataclass
class OneCamera:
    stream: str
    owner: str
    title: str = "指挥大厅"
    kind: str = "testcard"
    label: str | None = None
    picture: CameraHealth | None = None
    share: Share = Share.NATION

    @property
    def centre(self) -> str:
        return self.stream[:6]

    @property
    def name(self) -> str:
        return self.stream[7:]


@dataclass
class OneLink:
    node: str
    status: LinkStatus = LinkStatus.UP
    reason: LinkReason | None = None
    last_heartbeat_at: datetime | None = None
    box: BoxHealth | None = None

    @property
    def centre(self) -> str:
        return self.node[:6]


@dataclass
class Ways:
    """A registry from two lists; `here` is the gateway's own code."""

    here: str
    all_cameras: list[OneCamera] = field(default_factory=list)
    nodes: dict[str, OneLink] = field(default_factory=dict)
    offsets: dict[str, float] = field(default_factory=dict)
    table: CentreTable = field(default_factory=lambda: CentreTable(NANTONG))

    @classmethod
    def city(cls, counties: tuple[str, ...], here: str = "320600") -> "Ways":
        cameras = [OneCamera(f"{code}/room", f"{code}-box") for code in counties]
        return cls(here, cameras, {f"{code}-box": OneLink(f"{code}-box") for code in counties})

    def tier(self, node: str) -> Tier | None:
        return self.table[node[:6]].tier if node[:6] in self.table else None

    def own(self) -> Centre:
        return self.table[self.here]

    def centres(self) -> tuple[Centre, ...]:
        return self.table.subtree(self.here, SystemClock().now().date())

    def next_hop(self, centre: str) -> str | None:
        return next((node for node in sorted(self.nodes) if node[:6] == centre), None)

    def hop_to(self, node: str) -> str | None:
        if node not in self.nodes:
            return None
        gateways = (n for n in self.nodes if is_gateway(n) and self.table.covers(n, node[:6]))
        return next(gateways, node)

    def clock_offset(self, node: str) -> float | None:
        return self.offsets.get(node)

    def owner(self, stream: str) -> str | None:
        return next((camera.owner for camera in self.all_cameras if camera.stream == stream), None)

    def duty_node(self, centre: str) -> str | None:
        if centre in self.nodes:
            return centre
        return next((camera.owner for camera in self.all_cameras if camera.centre == centre), None)

    def cameras(self) -> tuple[OneCamera, ...]:
        return tuple(self.all_cameras)

    def camera(self, stream: str) -> OneCamera:
        for camera in self.all_cameras:
            if camera.stream == stream:
                return camera
        raise NotFoundError(stream)

    def links(self) -> tuple[OneLink, ...]:
        return tuple(self.nodes.values())

    def link(self, node: str) -> OneLink | None:
        return self.nodes.get(node)

    def cut(self, node: str, reason: LinkReason = LinkReason.NO_HEARTBEAT) -> None:
        self.nodes[node].status, self.nodes[node].reason = LinkStatus.DOWN, reason


Handler = Callable[[Command], Awaitable[dict[str, object]]]


class Commands:
    """Carries commands to handlers in this process, as `gateway.links` does over the wire."""

    def __init__(self, origin: str, clock: Clock | None = None) -> None:
        self.origin = origin
        self.clock = clock or SystemClock()
        self.handlers: dict[tuple[str, str], Handler] = {}
        self.asked: list[Command] = []
        self.owed: list[tuple[str, str, BaseModel]] = []
        self.emitted: list[Event] = []
        self._carried: set[asyncio.Task[Reply]] = set()

    def on(self, target: str, name: str, handler: Handler) -> None:
        self.handlers[target, str(name)] = handler

    def count(self, name: str, target: str | None = None) -> int:
        return sum(c.name == name and target in {None, c.target} for c in self.asked)

    async def ask(self, target: str, name: str, args: BaseModel, *, within_s: float) -> Reply:
        command = Command(
            command_id=new_ulid(self.clock),
            name=str(name),
            target=target,
            origin=self.origin,
            deadline=self.clock.now() + timedelta(seconds=within_s),
            args=args.model_dump(mode="json"),
        )
        self.asked.append(command)
        outcome, code, result = Outcome.DONE, None, {}
        try:
            async with asyncio.timeout(within_s):
                handler = self.handlers.get((target, str(name)))
                if handler is None:
                    await asyncio.Event().wait()
                else:
                    result = await handler(command)
        except TimeoutError:
            outcome = Outcome.EXPIRED
        except RefusedError as error:
            outcome, code = Outcome.REFUSED, error.reason
        except SilianError as error:
            outcome, code = Outcome.FAILED, error.code
        return Reply(
            command_id=command.command_id,
            name=command.name,
            target=target,
            origin=self.origin,
            outcome=outcome,
            code=code,
            result=result,
        )

    async def tell(self, target: str, name: str, args: BaseModel, *, within_s: float) -> str:
        reply = await self.ask(target, name, args, within_s=within_s)
        return reply.command_id

    async def owe_command(self, uow: UnitOfWork, target: str, name: str, args: BaseModel, *, within_s: float) -> str:
        """Note it; where somebody answers it, it goes out with the commit."""
        self.owed.append((target, str(name), args))
        if (target, str(name)) in self.handlers:
            uow.after_commit(lambda: self._carry(target, name, args, within_s))
        return new_ulid(self.clock)

    def _carry(self, target: str, name: str, args: BaseModel, within_s: float) -> None:
        task = asyncio.get_running_loop().create_task(self.ask(target, name, args, within_s=within_s))
        self._carried.add(task)
        task.add_done_callback(self._carried.discard)

    async def emit(self, _uow: UnitOfWork, event: Event, _lane: Lane) -> None:
        self.emitted.append(event)


class Blobs:
    """Blobs in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def put(self, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        self.kept[name] = content
        return name

    async def get(self, name: str) -> bytes:
        if name not in self.kept:
            raise NotFoundError(name)
        return self.kept[name]

    async def remove(self, name: str) -> None:
        self.kept.pop(name, None)


def picture(stream: str, at: float, thumb: bytes, *, mean: float = 120.0, deviation: float = 50.0) -> Still:
    return Still(stream, b"\xff\xd8" + thumb[:40], 640, 360, 40, at, mean, deviation, thumb)


async def until(condition: Callable[[], object], limit_s: float = 20.0) -> None:
    """Wait until something holds; the limit is for a broken test only."""
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.01)
