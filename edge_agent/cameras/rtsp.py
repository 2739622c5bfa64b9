"""Camera kind `rtsp`: H.264 demuxed over TCP and passed through without decoding; reconnects for ever."""

import time
from typing import Any

from typing_extensions import override

from edge_agent.cameras.compressed import CompressedCamera, Passage
from edge_agent.cameras.source import CameraError

_OPEN_S = 5.0
_READ_S = 4.0
"""A camera that says nothing for this long is connected anew."""


class RtspCamera(CompressedCamera):
    """Transport is TCP: lost datagrams of a thin hall network would be lost pictures."""

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
