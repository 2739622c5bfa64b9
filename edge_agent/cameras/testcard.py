"""Camera kind `testcard`: the live card of `protocols.aio.testcard`, drawn at its frame rate while published."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from typing_extensions import override

from edge_agent.cameras.raw import SAMPLE_S, RawCamera
from edge_agent.settings import CameraSettings
from protocols.aio.testcard import TestCard
from protocols.tiers import NANTONG

if TYPE_CHECKING:
    from edge_agent.cameras.raw import Grab


class TestCardCamera(RawCamera):
    """Draws; costs one picture a second while nobody publishes."""

    __test__ = False

    def __init__(self, settings: CameraSettings, centre: str) -> None:
        super().__init__(settings, centre)
        self._name = next((known.name for known in NANTONG if known.code == centre), centre)

    @override
    def grabs(self) -> Iterator["Grab"]:
        card = TestCard(
            self.centre, self._name, self.settings.title, width=self.settings.width, height=self.settings.height
        )
        step = 1 / self.settings.frame_rate
        due = time.monotonic()
        while not self.stopping.is_set():
            yield lambda: card.draw(datetime.now(UTC))
            if not self.wanted:
                self.feed.wake.wait(SAMPLE_S)
                self.feed.wake.clear()
                due = time.monotonic()
                continue
            due = max(due + step, time.monotonic() - step)
            self.stopping.wait(max(0.0, due - time.monotonic()))
