"""Sound that comes in: to a sound card, a WAV file or nowhere; what is heard is measured on the way.

The measurement (level and strongest frequency) lets a tone that was sent be recognised as the tone that was received.
"""

import logging
import math
import wave
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from edge_agent.media.alsa import prepare

logger = logging.getLogger(__name__)
RATE = 48_000
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
    """An output and its meter; `play` may be called in a thread. A card that fails is logged once and replaced."""

    def __init__(self, setting: str) -> None:
        self.meter = Meter()
        self._setting = setting
        self._output: Output = NullOutput()

    def __enter__(self) -> Self:
        try:
            self._output = make_output(self._setting)
        except (OSError, ValueError) as error:
            logger.warning("sound output cannot be opened", extra={"output": self._setting, "detail": str(error)})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._output.close()

    def play(self, samples: Any) -> None:
        """Measure and play mono samples."""
        self.meter.hear(samples)
        try:
            self._output.play(samples)
        except OSError as error:
            logger.warning("sound output failed", extra={"output": self._setting, "detail": str(error)})
            self._output = NullOutput()
