"""Camera kind `rtsp`: H.264 demuxed over TCP and passed through without decoding; reconnects for ever."""

import time
from datetime import datetime
from typing import Any

from typing_extensions import override

from edge_agent.cameras.compressed import CompressedCamera, Passage
from edge_agent.cameras.source import CameraError
from edge_agent.settings import CameraSettings
from protocols.health import CameraHealth

_OPEN_S = 5.0
_READ_S = 4.0
"""A camera that says nothing for this long is connected anew."""


class RtspCamera(CompressedCamera):
    """Transport is TCP: lost datagrams of a thin hall network would be lost pictures.

    A sub-stream (`thumb_url`) is read beside the main one, so that a wall finds its kept group; it costs no coding.
    """

    def __init__(self, settings: CameraSettings, centre: str) -> None:
        super().__init__(settings, centre)
        self._sub: RtspCamera | None = None
        if settings.thumb_url:
            small = {"name": f"{settings.name[:40]}-thumb", "url": settings.thumb_url, "thumb_url": ""}
            self._sub = RtspCamera(settings.model_copy(update=small), centre)
            self.thumb = self._sub.feed

    @override
    def start(self) -> None:
        super().start()
        if self._sub is not None:
            self._sub.start()

    @override
    async def stop(self) -> None:
        if self._sub is not None:
            await self._sub.stop()
        await super().stop()

    @override
    async def tick(self, now: float) -> None:
        await super().tick(now)
        if self._sub is not None:
            self._sub.tell(now)

    @override
    def health(self, now: float, wall: datetime) -> CameraHealth:
        health = super().health(now, wall)
        if health.fault is None and self._sub is not None:
            lost = self._sub.trouble not in (None, "starting")
            return health.model_copy(update={"fault": "thumb_lost" if lost else self._sub.stream_fault(now)})
        return health

    @override
    def work(self) -> None:
        import av

        try:
            container = av.open(
                self.settings.url,
                options={"rtsp_transport": "tcp", "fflags": "nobuffer", "analyzeduration": "500000"},
                timeout=(_OPEN_S, _READ_S),
            )
        except (OSError, av.error.FFmpegError) as error:
            raise CameraError("unreachable", f"{type(error).__name__}: {error.strerror}") from None
        try:
            self._read(container)
        except (OSError, av.error.FFmpegError) as error:
            raise CameraError("source_lost", f"{type(error).__name__}: {error.strerror}") from None
        finally:
            container.close()
        if not self.stopping.is_set():
            raise CameraError("source_lost", "the camera ended the session")

    def _read(self, container: Any) -> None:
        streams = container.streams.video
        if not streams:
            raise CameraError("no_video", "the camera offers no video")
        stream = streams[0]
        codec = stream.codec_context
        if codec.name != "h264":
            raise CameraError("codec", f"the camera sends {codec.name}; set its stream to H.264")
        passage = Passage(bytes(codec.extradata or b""), self.base_pts())
        for packet in container.demux(stream):
            if self.stopping.is_set():
                return
            unit = passage.unit(packet, time.monotonic())
            if unit is not None:
                self.pump(unit)
