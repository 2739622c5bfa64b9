"""Turns pictures into the samples that `protocols.picture` judges."""

import hashlib
from typing import TYPE_CHECKING, Any

from protocols.picture import THUMB_HEIGHT, THUMB_WIDTH, Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sample_of(picture: "NDArray[Any]", at: float, *, exact: bool) -> Sample:
    """Sample one BGR or grey picture; `exact` adds the digest of its pixels (raw sources only)."""
    import cv2

    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else picture
    mean, deviation = cv2.meanStdDev(grey)
    thumb = cv2.resize(grey, (THUMB_WIDTH, THUMB_HEIGHT), interpolation=cv2.INTER_AREA)
    digest = hashlib.blake2b(picture.tobytes(), digest_size=16).digest() if exact else None
    return Sample(at, float(mean[0, 0]), float(deviation[0, 0]), thumb.tobytes(), digest)


def decode_group(units: "list[tuple[float, bytes]]") -> list[Sample]:
    """Decode access units that start with a key frame and sample each picture; undecodable ones give nothing."""
    import av

    codec: Any = av.CodecContext.create("h264", "r")
    codec.thread_count = 1
    samples: list[Sample] = []
    for at, data in units:
        try:
            frames = codec.decode(av.Packet(data))
        except av.error.InvalidDataError:
            continue
        samples += [sample_of(frame.to_ndarray(format="gray"), at, exact=False) for frame in frames]
    return samples
