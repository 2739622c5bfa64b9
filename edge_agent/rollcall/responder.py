"""Answers a roll call with the owner's own view of picture and box, looked at with full decoding."""

from collections.abc import Callable, Mapping

from edge_agent.cameras.source import Camera
from protocols.aio.clock import Clock
from protocols.command import RollCallAnswer, RollCallRing
from protocols.errors import NotFoundError
from protocols.health import BoxHealth


async def respond(
    ring: RollCallRing,
    cameras: Mapping[str, Camera],
    clock: Clock,
    answered_by: str,
    box: Callable[[], BoxHealth],
) -> RollCallAnswer:
    """Look at the picture and answer, within about 2 s; raises NotFoundError for a camera that is not here."""
    camera = cameras.get(f"{ring.centre}/{ring.camera}")
    if camera is None:
        raise NotFoundError(f"no camera {ring.centre}/{ring.camera} here; it has {', '.join(cameras) or 'none'}")
    health = await camera.prove(clock.now())
    return RollCallAnswer(answered_by=answered_by, answered_at=clock.now(), camera=health, box=box())
