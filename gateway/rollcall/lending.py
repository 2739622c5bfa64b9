"""Which calls of this gateway lend which counties: to higher tiers that ask them, themselves or through us.

Whoever changes what is claimed calls `settle`: it looks at all that stands, so nothing needs to be undone in turn, and
after a restart it comes to what the rows say.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

from gateway.events import CallPasses
from gateway.rollcall.conductor import Conductor
from gateway.rollcall.needs import RollCallNeeds
from gateway.rollcall.records import RollCallRecord
from gateway.rollcall.rules.claims import Claim, standing_of, taken
from gateway.rollcall.rules.session import Session
from gateway.rollcall.rules.steps import Effect
from gateway.rollcall.side import Side
from protocols.errors import WrongMomentError
from protocols.ids import centre_of
from protocols.rollcall import UNDER_WAY
from protocols.tiers import Tier

logger = logging.getLogger(__name__)
NOTICE_LOOK_S: Final = 0.1


class Inspected(Protocol):
    """A roll call of a higher tier that asks counties of this subtree itself."""

    @property
    def by_centre(self) -> str:
        """Whose people began it."""
        ...

    @property
    def centres(self) -> Sequence[str]:
        """Whom it asks."""
        ...


class Inspections(Protocol):
    """What higher tiers ask themselves."""

    def standing(self) -> Sequence[Inspected]:
        """Return what is under way."""
        ...


class Lending:
    """The claims on the counties of this gateway's calls. All methods are safe to cancel."""

    def __init__(
        self, needs: RollCallNeeds, inspections: Inspections, conductors: Mapping[str, Conductor], side: Side
    ) -> None:
        """`conductors` are the calls of this gateway, by id, as they stand at any moment."""
        self._needs = needs
        self._inspections = inspections
        self._conductors = conductors
        self._side = side
        self._passing: dict[str, Claim] = {}
        """Dispatch calls of higher tiers that pass through here, by call."""
        self._ordered: dict[str, Claim] = {}
        """Calls that a higher tier has ordered and that have not begun yet, by their id there."""

    def claims(self) -> list[Claim]:
        """Return what stands: calls run for the tiers above, or about to be, inspections and calls that pass."""
        relayed = [one.record for one in self._conductors.values() if one.record.upper_id and not one.spent]
        running = [
            Claim(self.tier_of(one), frozenset(self._conductors[one.id].points))
            for one in relayed
            if one.ended_at is None
        ]
        seen = [Claim(self.asker(one.by_centre), frozenset(one.centres)) for one in self._inspections.standing()]
        return [*running, *seen, *self._passing.values(), *self._ordered.values()]

    def asker(self, centre: str) -> Tier:
        """Return where the people of a centre stand."""
        ways = self._needs.ways
        return standing_of(ways.tier(centre), ways.own().tier)

    def tier_of(self, call: RollCallRecord) -> Tier:
        """Return where the people stand who began a call."""
        if call.upper_id is None:
            return self._needs.ways.own().tier
        return self.asker(call.root_centre or centre_of(call.upper_node or ""))

    async def settle(self) -> list[str]:
        """Have each call lend what a higher tier asks, and have back what none asks; returns those that lend."""
        lends = []
        for id_, conductor in sorted(self._conductors.items()):
            if conductor.spent or conductor.record.state not in UNDER_WAY:
                continue
            if not conductor.lends and not self._taken(conductor):
                continue
            with contextlib.suppress(WrongMomentError):  # it has ended meanwhile
                await conductor.do(partial(self._settle, conductor))
            if conductor.lends:
                lends.append(id_)
        return lends

    def _taken(self, conductor: Conductor) -> frozenset[str]:
        return taken(self.tier_of(conductor.record), conductor.points, self.claims())

    def _settle(self, conductor: Conductor, session: Session, now: float) -> list[Effect]:
        gone = self._taken(conductor)
        back = [code for code in conductor.lends if code not in gone]
        return [*session.take(gone, now), *(session.give_back(back, now) if back else [])]

    @contextlib.asynccontextmanager
    async def ordered(self, root_id: str, by_centre: str, centres: Sequence[str]) -> AsyncIterator[None]:
        """Begin a call for a higher tier inside: the calls below it have given way then, and their notices are over."""
        claim = self._ordered[root_id] = Claim(self.asker(by_centre), frozenset(centres))
        try:
            for id_ in await self.settle():
                conductor = self._conductors.get(id_)
                while conductor is not None and not conductor.spent and claim.centres & set(conductor.giving_way):
                    await self._needs.clock.sleep(NOTICE_LOOK_S)
            yield
        finally:
            self._ordered.pop(root_id, None)
            await self.settle()

    def call_passes(self, told: CallPasses) -> None:
        """Give way to a dispatch call of a higher tier, and go on when it is over (domain.md 11, scenario 12)."""
        if told.over and self._passing.pop(told.call_id, None) is not None:
            self._side.start(f"freed[{told.call_id}]", self._settle_all)
        elif not told.over:
            self._passing[told.call_id] = Claim(self.asker(told.by_centre), frozenset({told.centre}))
            self._side.start(f"gives way[{told.call_id}]", partial(self._yield_to, told))

    async def _settle_all(self) -> None:
        await self.settle()

    async def _yield_to(self, told: CallPasses) -> None:
        for roll_call_id in await self.settle():
            extra = {"roll_call": roll_call_id, "call": told.call_id, "centre": told.centre}
            logger.info("gives way to a call from above", extra=extra)
