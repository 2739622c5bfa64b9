"""The warning room beside the real alarms and escalation rooms on a real store; the clock stands still."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.adapters.paper_files import PaperFiles
from gateway.alarms.bulletins import Bulletins
from gateway.alarms.cap import parse
from gateway.escalation.errands import Errands
from gateway.links.arrival import Arrival
from gateway.ports.notify import Channel
from gateway.ports.store import UnitOfWork
from gateway.settings import WarningSection
from gateway.warning.calls import TIMER, Calls
from gateway.warning.desk import WarningDesk
from gateway.warning.inbox import WarningInbox
from gateway.warning.needs import WarningNeeds
from gateway.warning.rules.targets import CallList
from gateway.warning.service import Warnings
from gateway.web.keys import load_or_make_key
from protocols.aio.clock import ManualClock
from protocols.envelope import Event, Lane
from protocols.warning import ISSUED, WarningContent
from tests.support.escalation_stage import Local, Stage, escalation_stage
from tests.unit.protocols.test_warning import WHOLE

UNIT = "如东县应急管理局"
BASE = "http://gateway.example:8080"
SETTINGS = {"issuers": [{"unit": UNIT, "sender": "41800000", "events": ["12A"], "gravest": 1}]}
TOWN = {
    "name": "洋口镇",
    "code": "320623104",
    "place": [32.5, 120.5],
    "responsible": [
        {"chain": [{"name": "张三", "post": "镇长", "phone": "13800000001", "email": "zhang@town.example"}]},
        {"chain": [{"name": "李四", "phone": "13800000002"}, {"name": "王五", "phone": "13800000003"}]},
    ],
    "neighbour": {"name": "赵六", "phone": "13800000009"},
}
VILLAGE = {
    "name": "洋口村",
    "code": "320623104201",
    "responsible": [{"chain": [{"name": "孙七", "phone": "13800000004"}]}],
}
FAR = {"name": "长沙镇", "code": "320623108", "responsible": [{"chain": [{"name": "周八", "phone": "13800000005"}]}]}
OUTLETS = [
    {"name": "县电视台", "kind": "broadcaster", "email": "tv@county.example"},
    {"name": "毗邻县", "kind": "neighbour", "url": "https://next.example/cap"},
]


@dataclass
class Post(Local):
    """Takes own events as the links room does: alarms go to their room, what is issued is only owed."""

    issued: list[Event] = field(default_factory=list)

    async def emit(self, uow: UnitOfWork, event: Event, lane: Lane) -> None:
        if event.type == ISSUED:
            self.issued.append(event)
        else:
            await super().emit(uow, event, lane)


@dataclass
class Office:
    """One centre's warnings."""

    stage: Stage
    room: Warnings
    calls: Calls
    desk: WarningDesk
    inbox: WarningInbox
    bulletins: Bulletins
    errands: Errands
    post: Post

    async def settle(self) -> None:
        room = self.stage.room
        while await self.errands.act_due() + await room.act_due() + await room.deliver_due():
            pass

    async def pass_(self, seconds: float) -> None:
        await self.stage.clock.advance(seconds)
        await self.settle()

    async def lists(self, *targets: dict[str, Any], outlets: Any = ()) -> None:
        content = {"targets": list(targets), "outlets": list(outlets)}
        await self.calls.set_call_list(CallList.model_validate(content), by="ops")

    async def get(self, id_: str) -> dict[str, Any]:
        return await self.desk.get(id_, open_=True)

    async def only(self) -> dict[str, Any]:
        (item,) = await self.desk.page()
        return await self.get(item["id"])

    async def issue(self, *, drill: bool = False, **more: Any) -> str:
        """Take an own warning all the way to its dispatch: zhang writes, li reviews and signs."""
        content = WarningContent.model_validate(WHOLE | more)
        return await self.finish(await self.room.draft(UNIT, content, drill=drill, by="zhang"))

    async def finish(self, id_: str) -> str:
        await self.room.review(id_, by="li")
        await self.room.sign(id_, by="li")
        await self.room.dispatch(id_, by="zhang")
        await self.settle()
        return id_

    def told(self, channel: Channel = Channel.SMS) -> list[str]:
        return sorted(one.data["person"] for one in self.stage.channels[channel].got if "warning" in one.data)

    def link(self, person: str) -> str:
        """Return the token in the newest message to a person."""
        texts = [
            one.text
            for one in self.stage.channels[Channel.SMS].got
            if one.data["person"] == person and "/confirm/" in one.text
        ]
        return texts[-1].partition("/confirm/")[2].partition("）")[0]

    async def take(self, event: Event) -> None:
        self.inbox.check(event)
        async with self.stage.store.unit() as uow:
            await self.inbox.apply(uow, [Arrival(event, event.source, Lane.URGENT, (), uow.now)])


@asynccontextmanager
async def warning_stage(
    directory: Path, *, here: str = "320623", clock: ManualClock | None = None, **settings: Any
) -> AsyncIterator[Office]:
    """Run the rooms; the same directory and clock again are a restart."""
    directory.mkdir(parents=True, exist_ok=True)
    async with escalation_stage(directory, here=here, clock=clock) as stage:
        post = Post(stage.alarms)
        errands = Errands(stage.store, stage.clock)
        needs = WarningNeeds(
            store=stage.store,
            outgoing=post,
            letters=stage.room.letters,
            timers=errands,
            area=stage.alarms._area,
            paper=PaperFiles(None),
            clock=stage.clock,
            metrics=stage.metrics,
            settings=WarningSection.model_validate(SETTINGS | settings),
            key=load_or_make_key(directory / "node.key"),
            parse=parse,
            base_url=lambda: BASE,
        )
        calls = Calls(needs)
        room = Warnings(needs, calls)
        inbox = WarningInbox(needs, room)
        bulletins = Bulletins(stage.store, post, stage.alarms._area, stage.metrics)
        bulletins.follow(inbox.on_taken)
        stage.room.letters.follow(room.on_receipt)
        errands.on(TIMER, calls.ring)
        yield Office(stage, room, calls, WarningDesk(needs), inbox, bulletins, errands, post)
