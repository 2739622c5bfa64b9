"""One tier as its public API shows it, read page by page."""

import asyncio
from typing import TYPE_CHECKING, Any

from gateway.bench.chaos.verdict import View
from protocols.ids import is_gateway

if TYPE_CHECKING:
    from gateway.bench.tiers import Tier

OVERDUE = "silian_escalation_overdue_timers"
AT_ONCE = 8


class Reader:
    """Reads on where it stopped; `courses` are the chains of red alarms that stand for ever."""

    def __init__(self, tier: "Tier") -> None:
        self._tier = tier
        self._log: list[dict[str, Any]] = []
        self._after = 0
        self.courses: dict[tuple[str, str], dict[str, Any]] = {}

    async def read_on(self) -> None:
        """Read what the log holds beyond the last look; raises LinkError."""
        while True:
            page = await self._tier.get(f"/api/v1/alarms/events?after={self._after}&limit=1000")
            self._log += page["items"]
            if page["items"]:
                self._after = page["items"][-1]["number"]
            if page["next"] is None or not page["items"]:
                return

    @property
    def size(self) -> int:
        """How many events were read so far."""
        return len(self._log)

    def events_of(self, source: str) -> int:
        """Return how many events of a source the log holds."""
        return sum(line["source"] == source for line in self._log)

    async def view(self) -> View:
        """Return the tier as it stands; raises LinkError."""
        await self.read_on()
        view = View(self._tier.code, list(self._log))
        once = await self._alarms(view)
        for at in range(0, len(once), AT_ONCE):
            await asyncio.gather(*(self._course(key, alarm_id) for key, alarm_id in once[at : at + AT_ONCE]))
        view.courses = dict(self.courses)
        view.gaps = (await self._tier.get("/api/v1/gaps"))["items"]
        view.quarantine = (await self._tier.get("/api/v1/quarantine"))["items"]
        view.overdue = await self._tier.metric(OVERDUE)
        return view

    async def _alarms(self, view: View) -> list[tuple[tuple[str, str], str]]:
        once, cursor = [], ""
        while True:
            page = await self._tier.get(f"/api/v1/alarms?condition=all&limit=500{cursor}")
            for item in page["items"]:
                key = item["source"], item["alarm_key"]
                # An alarm that is listed twice would be two states of one thing.
                view.conditions[key] = "twice" if key in view.conditions else item["condition"]
                if item["severity"] == 1 and not is_gateway(item["source"]):
                    once.append((key, item["id"]))
            if page["next"] is None:
                return once
            cursor = f"&cursor={page['next']}"

    async def _course(self, key: tuple[str, str], alarm_id: str) -> None:
        if not _over(self.courses.get(key)):
            self.courses[key] = await self._tier.get(f"/api/v1/alarms/{alarm_id}/escalation")


def _over(course: dict[str, Any] | None) -> bool:
    return course is not None and course["phase"] == "spent"
