"""A failed link is an alarm, and device alarms below it wait until it is whole again.

**Level, not edge**: once a second the links to the nodes below are compared with the alarms that stand, so a wake-up
that is lost or a restart changes nothing. What comes from behind a failed link is old news: mild alarms of devices
there are suppressed by design (ISA-18.2, section 3.1) while the one alarm that explains them is shown.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from gateway.alarms.service import Alarms
from protocols.aio.clock import Clock
from protocols.alarm import RAISED, AlarmData, Severity
from protocols.health import LinkReason, LinkStatus
from protocols.ids import centre_of, is_gateway
from protocols.tiers import CentreTable

logger = logging.getLogger(__name__)
LOOK_S = 1.0
PATIENCE_S = 30.0
"""Without a heartbeat for so long a link has failed (a shorter cut heals unseen)."""
KIND = "link.down"


class LinkState(Protocol):
    """The link of one node, as the registry has it."""

    @property
    def node(self) -> str:
        """The node below."""
        ...

    @property
    def direct(self) -> bool:
        """Whether it is linked to this gateway itself."""
        ...

    @property
    def status(self) -> LinkStatus:
        """Up, down, or never seen."""
        ...

    @property
    def reason(self) -> LinkReason | None:
        """Why it is down."""
        ...


class LinkWatch:
    """Run `run` as a supervised task."""

    def __init__(
        self, clock: Clock, alarms: Alarms, table: CentreTable, links: Callable[[], Iterable[LinkState]]
    ) -> None:
        self._clock = clock
        self._alarms = alarms
        self._table = table
        self._links = links
        self._down_since: dict[str, float] = {}
        self._failed: set[str] | None = None
        self._whole = False

    async def run(self) -> None:
        """Look once a second for ever."""
        while True:
            await self._clock.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Compare, and raise, end, suppress and show what changed."""
        if self._failed is None:
            self._failed = await self._alarms.own_standing(f"{KIND}/")
        now = self._clock.monotonic()
        down = {link.node: link for link in self._links() if link.direct and link.status is LinkStatus.DOWN}
        self._down_since = {node: self._down_since.get(node, now) for node in down}
        for node, since in self._down_since.items():
            if node not in self._failed and now - since >= PATIENCE_S:
                await self._alarms.report(RAISED, self._data(down[node]))
                self._failed.add(node)
        for node in sorted(self._failed - set(down)):
            await self._alarms.end_own(f"{KIND}/{node}")
            self._failed.discard(node)
        if not self._failed and self._whole:
            return
        changed = await self._alarms.suppress_behind(self._failed)
        self._whole = not self._failed
        if changed:
            logger.info("device alarms behind failed links", extra={"changed": changed, "failed": sorted(self._failed)})

    def _data(self, link: LinkState) -> AlarmData:
        centre = centre_of(link.node)
        name = self._table[centre].name if centre in self._table else centre
        reason = "" if link.reason is None else link.reason.value
        return AlarmData(
            alarm_key=f"{KIND}/{link.node}",
            centre=centre,
            sensor="link",
            event_type=KIND,
            severity=Severity.ORANGE if is_gateway(link.node) else Severity.YELLOW,
            headline=f"{name}（{link.node}）链路中断",
            detail=f"reason: {reason}; device alarms behind this link are suppressed until it is whole again",
            observed_at=self._clock.now(),
        )
