"""Answers a roll call with the owner's own view of picture and box, looked at with full decoding."""

from collections.abc import Callable, Mapping
from typing import Literal

from edge_agent.cameras.source import Camera
from edge_agent.rollcall.desk import AnswerDesk
from edge_agent.rollcall.machine import Turn
from protocols.aio.clock import Clock
from protocols.command import RollCallAnswer, RollCallRing
from protocols.errors import NotFoundError
from protocols.health import BoxHealth, CameraHealth


class Responder:
    """Answers by policy `auto`, or once a person has; a camera that is not here is refused before anything rings."""

    def __init__(
        self,
        cameras: Mapping[str, Camera],
        desk: AnswerDesk,
        clock: Clock,
        box: Callable[[], BoxHealth],
        *,
        answered_by: str,
        asks: bool,
    ) -> None:
        """Prepare; `asks`: a person must answer, else the box does as `answered_by`."""
        self._cameras = cameras
        self._desk = desk
        self._clock = clock
        self._box = box
        self._answered_by = answered_by
        self._asks = asks

    async def respond(self, ring: RollCallRing) -> RollCallAnswer:
        """Answer within about 2 s after somebody did; raises NotFoundError for a camera that is not here."""
        camera = self._cameras.get(f"{ring.centre}/{ring.camera}")
        if camera is None:
            here = ", ".join(self._cameras) or "none"
            raise NotFoundError(f"no camera {ring.centre}/{ring.camera} here; it has {here}")
        turn = self._desk.rung(ring)
        if self._asks:
            turn = await self._desk.answered_by_person(turn.id)
        else:
            turn = self._desk.answer_by_box(turn.id, self._answered_by)
        return self._answer(turn, await camera.prove(self._clock.now()))

    def _answer(self, turn: Turn, camera: CameraHealth) -> RollCallAnswer:
        if turn.details is None:
            raise AssertionError("a turn that was answered has details")
        by: Literal["box", "person"] = "person" if turn.by_person else "box"
        return RollCallAnswer(
            **turn.details.model_dump(), answered_at=self._clock.now(), camera=camera, box=self._box(), by=by
        )
