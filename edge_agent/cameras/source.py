"""Port `camera`: one picture source with its feed and its own view of its health.

A camera works in a thread of its own, because capturing, decoding and encoding block; it hands coded units to its
`feed` and samples to its judge in the loop. **A camera never gives up**: whatever ends its thread's work is logged,
counted, shown as its fault, and tried again with a growing delay.
"""

import asyncio
import logging
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime

from edge_agent.cameras.advice import advice
from edge_agent.cameras.feed import Feed
from edge_agent.settings import CameraSettings
from protocols.backoff import Backoff
from protocols.health import CameraHealth

logger = logging.getLogger(__name__)
RETRY = Backoff(base=0.5, cap=5.0, floor=0.2)
"""Short: a camera stands in the same hall, and its absence is nobody's load."""


class CameraError(Exception):
    """The source cannot give pictures now. `fault` is its name in health, log and metric."""

    def __init__(self, fault: str, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class Camera(ABC):
    """Base of all kinds. Start with `start` in the loop; `stop` joins the thread."""

    passthrough = False
    """Whether pictures are passed on as the source coded them."""

    def __init__(self, settings: CameraSettings, centre: str) -> None:
        self.settings = settings
        self.centre = centre
        self.loop = asyncio.get_running_loop()
        self.feed = Feed(settings.name, keep_group=self.passthrough)
        self.thumb: Feed | None = None
        """The small layer, where this kind can give one."""
        self.fault: str = settings.fault
        """Rehearsed fault; read by the thread, changed by `rehearse`."""
        self.number: str | None = None
        """Challenge number to show in the picture; read by the thread. What is passed through cannot show it."""
        self.trouble: str | None = "starting"
        """Why there is no picture, by name; None while the source works."""
        self.restarts = 0
        self.stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """The camera's name inside its centre."""
        return self.settings.name

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._forever, name=f"camera-{self.name}", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End the thread; waits at most 3 s for a source that hangs."""
        self.stopping.set()
        self.feed.wake.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 3.0)

    def rehearse(self, fault: str) -> None:
        """Switch the rehearsed fault; empty ends it."""
        self.fault = fault

    def post(self, call: Callable[..., object], *args: object) -> None:
        """Call something in the loop, from the thread; after the loop's end this does nothing."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(call, *args)

    @property
    def wanted(self) -> bool:
        """Whether anybody reads any layer; safe in the thread."""
        return self.feed.wanted or (self.thumb is not None and self.thumb.wanted)

    def encoded(self) -> dict[str, int]:
        """Return the pictures coded here, by layer; what is passed through costs none."""
        return {}

    def bounds(self) -> dict[str, tuple[int, int]]:
        """Return the least and the largest bit rate of each layer that is coded here, in kbit/s."""
        return {}

    def steer(self, targets: Mapping[str, int]) -> None:  # noqa: B027 - most kinds cannot
        """Set the bit rate of coded layers (kbit/s by name); what is passed through cannot follow."""

    async def tick(self, now: float) -> None:  # noqa: B027 - most kinds need none
        """Do what the camera's watch asks for now; called about once a second in the loop."""

    def _forever(self) -> None:
        attempt = 0
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                self.work()
            except CameraError as error:
                self._troubled(error.fault, str(error))
            except Exception as error:  # noqa: BLE001 - the thread must outlive whatever a driver or codec raises
                self._troubled("source_error", f"{type(error).__name__}: {error}")
            attempt = 0 if time.monotonic() - began > 10 else attempt + 1
            self.stopping.wait(RETRY.delay(attempt, random.random()))  # noqa: S311 - jitter, no secret

    def works(self) -> None:
        """Note that a picture came; called in the thread with each one."""
        if self.trouble is not None:
            self.trouble = None
            logger.info("camera gives pictures", extra={"camera": self.name, "kind": self.settings.kind})

    def _troubled(self, fault: str, detail: str) -> None:
        self.restarts += 1
        known, self.trouble = self.trouble == fault, fault
        level = logging.DEBUG if known else logging.WARNING  # the same trouble again is no news
        logger.log(
            level,
            "camera has no picture",
            extra={"camera": self.name, "fault": fault, "detail": detail, "advice": advice(fault)},
        )

    @abstractmethod
    def work(self) -> None:
        """Capture until `stopping` is set or the source ends (return) or fails (raise); runs in the thread."""

    @abstractmethod
    def health(self, now: float, wall: datetime) -> CameraHealth:
        """Return the present verdict; cheap, never decodes. `now` is monotonic."""

    @abstractmethod
    async def prove(self, wall: datetime) -> CameraHealth:
        """Look at the picture with full decoding, for a roll call; takes at most about 2 s."""
