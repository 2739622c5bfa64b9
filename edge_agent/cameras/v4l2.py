"""Camera kind `v4l2`: a capture device of Linux, through PyAV. Packets are read always, decoded only when needed."""

import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from edge_agent.cameras.raw import RawCamera
from edge_agent.cameras.source import CameraError

if TYPE_CHECKING:
    from edge_agent.cameras.raw import Grab


class V4l2Camera(RawCamera):
    """Asks the device for the size and rate of the settings; takes what it gives."""

    @override
    def grabs(self) -> Iterator["Grab"]:
        import av

        chosen = self.settings
        options = {"video_size": f"{chosen.width}x{chosen.height}", "framerate": str(chosen.frame_rate)}
        try:
            container = av.open(chosen.device, format="v4l2", options=options)
        except (OSError, av.error.FFmpegError) as error:
            raise CameraError("no_device", f"{chosen.device}: {error.strerror}") from None
        try:
            yield from self._packets(container)
        except (OSError, av.error.FFmpegError) as error:
            raise CameraError("source_lost", f"{chosen.device}: {error.strerror}") from None
        finally:
            container.close()

    def _packets(self, container: Any) -> Iterator["Grab"]:
        stream = container.streams.video[0]
        step, due = 1 / self.settings.frame_rate, 0.0
        for packet in container.demux(stream):
            now = time.monotonic()
            if now + step / 4 >= due:  # a device that ignores the asked rate must not overfeed the encoder
                due = max(due + step, now)
                yield partial(_picture, packet)


def _picture(packet: Any) -> Any:
    frames = packet.decode()
    if not frames:
        raise CameraError("source_error", "the device gave a packet without a picture")
    return frames[-1].to_ndarray(format="bgr24")
