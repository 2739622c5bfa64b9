"""Sound that goes out: a steady tone, a sound card or a file, coded as Opus only while somebody publishes it.

**A sound that is gone is not replaced by silence**: nothing is sent, its fault is named, and it is opened again until
it gives sound.
"""

import logging
import math
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.cameras.advice import advice
from edge_agent.cameras.feed import Feed
from edge_agent.media.alsa import prepare
from protocols.aio.h264 import Unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Chunk = NDArray[np.int16]

logger = logging.getLogger(__name__)
RATE = 48_000
CHUNK = 960
"""20 ms, the usual Opus frame."""
_IDLE_S = 0.5
_AGAIN_S = 1.0
_AHEAD_S = 0.1
"""A sound card keeps the time itself; one that runs ahead by more (a null device) is held back."""
LEAST_DBOV = -127


class SoundSource:
    """Drives one sound; `feed` carries Opus packets with time stamps of 1/48000 s."""

    def __init__(self, kind: str, tone_hz: int) -> None:
        self.kind = kind
        self.feed = Feed(f"sound {kind}", keep_group=False)
        self.trouble: str | None = None
        """Why there is no sound while somebody wants it, by name; None while it works, and before."""
        self.restarts = 0
        self._tone_hz = tone_hz
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._forever, name=f"sound-{kind}", daemon=True)

    def start(self) -> None:
        """Start the thread; it sleeps until somebody subscribes."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; one that never began is none, so that the fault before it stays the one that is told."""
        self._stopping.set()
        self.feed.wake.set()
        if self._thread.ident is not None:
            self._thread.join(2.0)

    def _forever(self) -> None:
        while not self._stopping.is_set():
            if not self.feed.wanted:
                self.feed.wake.wait(_IDLE_S)
                self.feed.wake.clear()
                continue
            try:
                self._play()
                if self._stopping.is_set() or not self.feed.wanted:
                    continue
                self._lost("the sound ended")
            except Exception as error:  # noqa: BLE001 - a sound card may raise anything; the picture must go on
                self._lost(f"{type(error).__name__}: {error}")
            self._stopping.wait(_AGAIN_S)

    def _lost(self, detail: str) -> None:
        self.restarts += 1
        known, self.trouble = self.trouble is not None, "sound_lost"
        level = logging.DEBUG if known else logging.WARNING  # the same trouble again is no news
        fields = {"sound": self.kind, "detail": detail, "advice": advice("sound_lost")}
        logger.log(level, "sound source failed", extra=fields)

    def _works(self) -> None:
        if self.trouble is not None:
            logger.info("sound is back", extra={"sound": self.kind})
            self.trouble = None

    def _play(self) -> None:
        from edge_agent.media.opus import OpusEncoder

        encoder, sent = OpusEncoder(), 0
        began = time.monotonic()
        for chunk in self._chunks():
            if self._stopping.is_set() or not self.feed.wanted:
                return
            self._works()
            now, level = time.monotonic(), loudness(chunk)
            base = int((began % 86_400) * RATE)
            for data in encoder.encode(chunk):
                self.feed.put(Unit(data, key=True, pts=base + sent, arrived=now, level=level))
                sent += CHUNK
            ahead = began + sent / RATE - time.monotonic()
            if self.kind.partition(":")[0] != "alsa" or ahead > _AHEAD_S:
                self._stopping.wait(max(0.0, ahead))

    def _chunks(self) -> "Iterator[Chunk]":
        kind, _, name = self.kind.partition(":")
        if kind == "alsa":
            return alsa_chunks(name)
        if kind == "file":
            return wav_chunks(Path(name))
        return tone_chunks(self._tone_hz if kind == "tone" else 0)


def loudness(chunk: "Chunk") -> int:
    """Return the level of some samples in dBov, 0 (overload) to -127 (RFC 6464 section 3)."""
    import numpy as np

    power = float(np.mean(chunk.astype(np.float64) ** 2)) / 32768**2
    return max(LEAST_DBOV, min(0, round(10 * math.log10(power)))) if power > 0 else LEAST_DBOV


def tone_chunks(hertz: int) -> "Iterator[Chunk]":
    """Yield a steady tone for ever, 0 Hz for silence; phase runs on from chunk to chunk."""
    import numpy as np

    if hertz == 0:
        while True:
            yield np.zeros(CHUNK, np.int16)
    step, at = 2 * math.pi * hertz / RATE, 0
    while True:
        angles = np.arange(at, at + CHUNK) * step
        yield (np.sin(angles) * 6000).astype(np.int16)
        at = (at + CHUNK) % RATE  # whole hertz: one second holds whole periods


def wav_chunks(path: Path) -> "Iterator[Chunk]":
    """Yield a WAV file (16 bit, 48 kHz, mono or stereo), looped."""
    import numpy as np

    while True:
        with wave.open(str(path), "rb") as file:
            if file.getframerate() != RATE or file.getsampwidth() != 2:
                raise ValueError(f"{path}: need 16 bit at 48000 Hz, e.g. ffmpeg -i IN -ar 48000 -ac 1 OUT.wav")
            channels = file.getnchannels()
            while data := file.readframes(CHUNK):
                chunk = np.frombuffer(data, np.int16)[::channels]
                yield np.pad(chunk, (0, CHUNK - len(chunk))) if len(chunk) < CHUNK else chunk


def alsa_chunks(name: str) -> "Iterator[Chunk]":
    """Yield what a sound card hears."""
    import av
    import numpy as np

    prepare()
    with av.open(name, format="alsa", options={"sample_rate": str(RATE), "channels": "1"}) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE, frame_size=CHUNK)
        for decoded in container.decode(audio=0):
            for frame in resampler.resample(decoded):
                chunk: Any = np.asarray(frame.to_ndarray()).reshape(-1)
                yield chunk
