"""Talk-back: plays the caller of a dispatch call by WHEP, until the call ends.

The newest picture stays on a shelf of one, its sound goes to the speaker; both are measured, so that a test can tell
content from connection. **A call that breaks is taken up again until somebody hangs up**, or
until the caller has been gone for a minute.
"""

import asyncio
import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_agent.media.speaker import Speaker
from protocols.aio.clock import Clock
from protocols.aio.whip import WhepClient
from protocols.backoff import Backoff
from protocols.command import CallRing
from protocols.errors import BadMediaError, LinkError
from protocols.testmark import decode

if TYPE_CHECKING:
    import ssl

    from aiortc import MediaStreamTrack, RTCPeerConnection

logger = logging.getLogger(__name__)
RETRY = Backoff(base=0.3, cap=5.0, floor=0.1)
SILENT_S = 8.0
BLIND_S = 8.0
"""A picture that was there and stays away for so long, while sound comes, is worth a new session."""
GONE_S = 60.0


@dataclass(slots=True)
class Shelf:
    """The newest picture; older ones are gone."""

    frame: Any = None
    at: float = 0.0
    frames: int = 0


class Listener:
    """One call's incoming side. `run` until cancelled; read `report` at any time."""

    def __init__(self, ring: CallRing, output: str, clock: Clock, verify: "ssl.SSLContext | None" = None) -> None:
        self.ring = ring
        self.shelf = Shelf()
        self.speaker = Speaker(output)
        self.sessions = 0
        self._heard_at = 0.0
        self._seen_at: float | None = None
        self._clock = clock
        self._verify = verify

    async def run(self) -> None:
        """Play until cancelled, or until nothing was heard or seen for `GONE_S`: nobody will hang up then."""
        attempt, self._heard_at = 0, time.monotonic()
        with self.speaker:
            while time.monotonic() - self._heard_at < GONE_S:
                began = time.monotonic()
                await self._session()
                attempt = 0 if time.monotonic() - began > 10.0 else attempt + 1
                await self._clock.sleep(RETRY.delay(attempt, random.random()))  # noqa: S311 - jitter, no secret

    async def _session(self) -> None:
        from edge_agent.media.peer import connect, new_peer, part, prefer

        peer, client = new_peer(), WhepClient(self.ring.whep_url, self.ring.token, verify=self._verify)
        try:
            prefer(peer.addTransceiver("video", direction="recvonly"), "video", "video/H264", "video/VP8")
            prefer(peer.addTransceiver("audio", direction="recvonly"), "audio", "audio/opus")
            await connect(peer, client)
            logger.info("listening", extra={"call": self.ring.call_id, "stream": self.ring.caller_stream})
            self.sessions += 1
            await self._read(peer)
        except (LinkError, BadMediaError) as error:
            logger.warning("listening failed", extra={"call": self.ring.call_id, "detail": str(error)})
        finally:
            await part(peer, client)

    async def _read(self, peer: "RTCPeerConnection") -> None:
        from edge_agent.media.aiortc_private import ask_again

        connected_at, self._seen_at = time.monotonic(), None
        async with asyncio.TaskGroup() as group:
            readers = [
                group.create_task(self._track(receiver.track), name=f"call.{receiver.track.kind}")
                for receiver in peer.getReceivers()
                if receiver.track is not None
            ]
            readers += [
                group.create_task(ask_again(receiver), name="call.repairs")
                for receiver in peer.getReceivers()
                if receiver.track is not None and receiver.track.kind == "video"
            ]
            while peer.connectionState == "connected" and self._silence(connected_at) < SILENT_S and not self._blind():
                await self._clock.sleep(0.25)
            for reader in readers:
                reader.cancel()

    def _silence(self, since: float) -> float:
        return time.monotonic() - max(since, self._heard_at)

    def _blind(self) -> bool:
        """Tell whether the picture of this session stays away while its sound goes on."""
        return self._seen_at is not None and time.monotonic() - self._seen_at > BLIND_S

    async def _track(self, track: "MediaStreamTrack") -> None:
        from aiortc.mediastreams import MediaStreamError

        try:
            while True:
                frame: Any = await track.recv()
                self._heard_at = time.monotonic()
                if track.kind == "video":
                    self._seen_at = self._heard_at
                    self.shelf = Shelf(frame, self._heard_at, self.shelf.frames + 1)
                else:
                    await asyncio.to_thread(self.speaker.play, _mono(frame))
        except MediaStreamError:
            return

    def report(self) -> dict[str, Any]:
        """Say what is seen and heard now; decodes the test mark of the newest picture, if it bears one."""
        meter, shelf = self.speaker.meter, self.shelf
        return {
            "call_id": self.ring.call_id,
            "caller_stream": self.ring.caller_stream,
            "sessions": self.sessions,
            "frames": shelf.frames,
            "frame_age_ms": round((time.monotonic() - shelf.at) * 1000) if shelf.frames else None,
            "audio_s": round(meter.heard_s, 2),
            "level": round(meter.level, 4),
            "peak_hz": round(meter.peak_hz, 1),
            "picture": _picture(shelf.frame),
        }


def _mono(frame: Any) -> Any:
    import numpy as np

    samples = frame.to_ndarray().reshape(-1)
    channels = len(frame.layout.channels)
    return np.ascontiguousarray(samples[::channels])


def _picture(frame: Any) -> dict[str, Any] | None:
    if frame is None:
        return None
    grey = frame.to_ndarray(format="gray")
    mark = decode(frame.width, frame.height, lambda x, y: float(grey[y, x]))
    return {
        "width": frame.width,
        "height": frame.height,
        "mean": round(float(grey.mean()), 1),
        "deviation": round(float(grey.std()), 1),
        "mark": None if mark is None else {"code": mark.code, "age_ms": mark.age_ms(int(time.time() * 1000))},
    }
