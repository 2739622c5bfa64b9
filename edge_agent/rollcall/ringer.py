"""The ring in the duty room: two tones and a spoken prompt through the box's loudspeaker, until it is told to stop.

A device that takes samples faster than they last (null, a file) is held back to real time, so that a ring takes as
long everywhere.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from edge_agent.media.speaker import RATE, Speaker
from edge_agent.rollcall.speech import spoken

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.int16]

logger = logging.getLogger(__name__)
CHUNK = 960
HIGH_HZ, LOW_HZ = 1250, 950
"""Far enough from a voice and from each other to be heard through talk, low enough for old ears."""
BEAT_S = 0.2
AHEAD_S = 0.1


class Ringer:
    """One at a time: `ring` until cancelled, `chime` once. When either ends, the loudspeaker is free again."""

    def __init__(self, output: str, announce: str = "voice") -> None:
        """Prepare; `announce` is that of the settings: voice, tone or none."""
        self.audible = announce != "none"
        self.speaker = Speaker(output)
        """Read its meter to know what was last heard in the room."""
        self._voice = announce == "voice"
        self._one = asyncio.Lock()

    async def ring(self, text: str, wanted: Callable[[], bool]) -> None:
        """Ring and say `text` again and again, while `wanted()`, which is asked in a thread; until cancelled."""
        await self._play(lambda: _forever(lambda: self._with_voice(ring_tone(), text)), wanted)

    async def chime(self, text: str) -> None:
        """Sound once and say `text`; for a call that the box answers by itself."""
        await self._play(lambda: self._with_voice(chime_tone(), text), lambda: True)

    def _with_voice(self, tone: "Samples", text: str) -> "Iterator[Samples]":
        yield tone
        words = spoken(text) if self._voice else None
        if words is not None:
            yield pause(0.3)
            yield words
        yield pause(0.8)

    async def _play(self, sounds: "Callable[[], Iterable[Samples]]", wanted: Callable[[], bool]) -> None:
        async with self._one:
            stop = threading.Event()
            work = asyncio.get_running_loop().run_in_executor(
                None, self._out, sounds, lambda: wanted() and not stop.is_set()
            )
            try:
                await asyncio.shield(work)
            finally:
                stop.set()
                await asyncio.shield(work)  # whoever plays next must find the card free

    def _out(self, sounds: "Callable[[], Iterable[Samples]]", wanted: Callable[[], bool]) -> None:
        with self.speaker:
            self._paced(sounds(), wanted)

    def _paced(self, sounds: "Iterable[Samples]", wanted: Callable[[], bool]) -> None:
        began, played = time.monotonic(), 0
        for sound in sounds:
            for at in range(0, len(sound), CHUNK):
                if not wanted():
                    return
                chunk = sound[at : at + CHUNK]
                self.speaker.play(chunk)
                played += len(chunk)
                ahead = played / RATE - (time.monotonic() - began)
                if ahead > AHEAD_S:
                    time.sleep(ahead - AHEAD_S)


def _forever(sounds: "Callable[[], Iterator[Samples]]") -> "Iterator[Samples]":
    while True:
        yield from sounds()


def ring_tone() -> "Samples":
    """Return 1.6 s of two tones in turn."""
    return _joined([_beat(HIGH_HZ if number % 2 == 0 else LOW_HZ, BEAT_S) for number in range(8)])


def chime_tone() -> "Samples":
    """Return one high and one low tone: something began, nobody needs to come."""
    return _joined([_beat(HIGH_HZ, 0.35), _beat(LOW_HZ, 0.5)])


def pause(seconds: float) -> "Samples":
    """Return silence."""
    import numpy as np

    return np.zeros(int(seconds * RATE), np.int16)


def _beat(hertz: int, seconds: float) -> "Samples":
    import numpy as np

    count = int(seconds * RATE)
    edge = np.minimum(1.0, np.minimum(np.arange(count), np.arange(count)[::-1]) / (0.01 * RATE))  # no clicks
    wave_form = np.sin(2 * np.pi * hertz * np.arange(count) / RATE) * edge * 12000
    return wave_form.astype(np.int16)


def _joined(parts: "list[Samples]") -> "Samples":
    import numpy as np

    return np.concatenate(parts)
