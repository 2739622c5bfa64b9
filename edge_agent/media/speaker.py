"""Sound that comes in: to a sound card, a WAV file or nowhere; what is heard is measured on the way.

The measurement (level and strongest frequency) lets a tone that was sent be recognised as the tone that was received.
"""

import contextlib
import logging
import math
import time
import wave
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from edge_agent.cameras.advice import advice
from edge_agent.media.alsa import prepare

logger = logging.getLogger(__name__)
RATE = 48_000
AGAIN_S = 1.0
WINDOW = 9600
"""0.2 s: frequencies are told apart to 5 Hz."""


class Output(Protocol):
    """Where samples go: 16 bit, mono, 48 kHz."""

    def play(self, samples: Any) -> None:
        """Take samples; may block for as long as they last."""
        ...

    def close(self) -> None:
        """Finish."""
        ...


class NullOutput:
    """Plays nowhere."""

    def play(self, samples: Any) -> None:
        """Forget the samples."""

    def close(self) -> None:
        """Nothing to finish."""


class WavOutput:
    """Writes a WAV file, valid at any moment up to the last close."""

    def __init__(self, path: Path) -> None:
        self._bytes = path.open("wb")  # opened apart: a wave writer that cannot open complains later
        self._file = wave.open(self._bytes, "wb")  # noqa: SIM115 - lives as long as this object
        self._file.setnchannels(1)
        self._file.setsampwidth(2)
        self._file.setframerate(RATE)

    def play(self, samples: Any) -> None:
        """Append samples."""
        self._file.writeframes(samples.tobytes())

    def close(self) -> None:
        """Write the header and close."""
        self._file.close()
        self._bytes.close()


class AlsaOutput:
    """Plays on a sound card through PyAV."""

    def __init__(self, name: str) -> None:
        import av

        prepare()
        self._container: Any = av.open(name, "w", format="alsa")
        self._stream: Any = self._container.add_stream("pcm_s16le", rate=RATE, layout="mono")

    def play(self, samples: Any) -> None:
        """Play; blocks while the card's buffer is full."""
        import av

        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        """Let go of the card."""
        self._container.close()


def make_output(setting: str) -> Output:
    """Make the output of a setting: null, alsa:NAME, file:/path.wav. Raises OSError where it cannot be opened."""
    kind, _, name = setting.partition(":")
    match kind:
        case "alsa":
            return AlsaOutput(name)
        case "file":
            return WavOutput(Path(name))
        case _:
            return NullOutput()


class Meter:
    """Measures what is heard: `level` (0 to 1) and `peak_hz` of the newest 0.2 s."""

    def __init__(self) -> None:
        self.level = 0.0
        self.peak_hz = 0.0
        self.heard_s = 0.0
        self._window: list[Any] = []
        self._count = 0

    def hear(self, samples: Any) -> None:
        """Take mono samples."""
        self._window.append(samples)
        self._count += len(samples)
        self.heard_s += len(samples) / RATE
        if self._count >= WINDOW:
            self._measure()
            self._window, self._count = [], 0

    def _measure(self) -> None:
        import numpy as np

        wave_form = np.concatenate(self._window)[:WINDOW].astype(np.float64) / 32768
        self.level = math.sqrt(float(np.mean(wave_form**2)))
        spectrum = np.abs(np.fft.rfft(wave_form * np.hanning(WINDOW)))
        self.peak_hz = float(np.argmax(spectrum)) * RATE / WINDOW if self.level > 0.001 else 0.0


class Speaker:
    """An output and its meter; `play` may be called in a thread.

    A card that fails is named (`trouble`) and opened again every `AGAIN_S` while there is something to play.
    """

    def __init__(self, setting: str) -> None:
        self.meter = Meter()
        self.trouble: str | None = None
        """Why nothing can be played, by name; None while it can."""
        self._setting = setting
        self._output: Output | None = None
        self._again_at = 0.0

    def __enter__(self) -> Self:
        self._open()
        return self

    def _open(self) -> None:
        try:
            self._output = make_output(self._setting)
        except Exception as error:  # noqa: BLE001 - a driver may raise anything; the call must go on
            self._lost(error)
            return
        if self.trouble is not None:
            logger.info("sound output is back", extra={"output": self._setting})
            self.trouble = None

    def _lost(self, error: Exception) -> None:
        self._output, self._again_at = None, time.monotonic() + AGAIN_S
        if self.trouble is None:  # the same trouble again is no news
            fields = {"output": self._setting, "detail": f"{type(error).__name__}: {error}"}
            logger.warning("sound output failed", extra={**fields, "advice": advice("speaker_lost")})
        self.trouble = "speaker_lost"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._output is not None:
            with contextlib.suppress(Exception):  # a card that was pulled out cannot be closed in order
                self._output.close()
            self._output = None

    def play(self, samples: Any) -> None:
        """Measure and play mono samples."""
        self.meter.hear(samples)
        if self._output is None and time.monotonic() >= self._again_at:
            self._open()
        if self._output is None:
            return
        try:
            self._output.play(samples)
        except Exception as error:  # noqa: BLE001 - a driver may raise anything; the call must go on
            self._lost(error)
