"""Who hears whom: for one listener, which voices stand in the sound slots of a wall or a dispatch call.

**Command is always heard, a muted voice never, one's own voice never; of the others the loudest few.** A free place is
taken at once; a taken one goes only to a voice that has been louder for `HYSTERESIS_S` without a break, so that
a cough moves nobody. Times are monotonic seconds given as arguments.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MOST = 3
"""Voices that one person can still tell apart."""
HYSTERESIS_S = 1.0
SILENCE_S = 3.0
"""Who has said nothing for this long gives the place back."""
SPEECH = 0.01
"""Level (0 silence, 1 full scale, see `StreamStats.audio_level`) below which nobody speaks: -40 dBov."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One sound as it stands now. `level` None: its sender does not tell it, so it is taken for speech."""

    stream: str
    level: float | None = None
    muted: bool = False
    command: bool = False


class Floor:
    """Feed `choose` a few times a second; it returns what this listener hears, command first."""

    def __init__(self, listener: str | None = None, most: int = MOST) -> None:
        self._listener = listener
        self._most = most
        self._holders: list[str] = []
        self._spoke_at: dict[str, float] = {}
        self._louder_since: dict[str, float] = {}

    def choose(self, voices: Sequence[Voice], now: float) -> tuple[str, ...]:
        """Return the streams to hear; their order changes only where one is exchanged."""
        open_ = {v.stream: v for v in voices if not v.muted and v.stream != self._listener}
        commands = tuple(stream for stream, voice in open_.items() if voice.command)
        levels = {s: SPEECH if v.level is None else v.level for s, v in open_.items() if not v.command}
        for stream, level in levels.items():
            if level >= SPEECH:
                self._spoke_at[stream] = now
        self._spoke_at = {stream: at for stream, at in self._spoke_at.items() if stream in levels}
        self._holders = [stream for stream in self._holders if self._stays(stream, now)]
        self._admit(levels, max(0, self._most - len(commands)), now)
        return (*commands, *self._holders)

    def _stays(self, stream: str, now: float) -> bool:
        at = self._spoke_at.get(stream)
        return at is not None and now - at < SILENCE_S

    def _admit(self, levels: dict[str, float], places: int, now: float) -> None:
        del self._holders[places:]
        waiting = [stream for stream, level in levels.items() if level >= SPEECH and stream not in self._holders]
        waiting.sort(key=lambda stream: -levels[stream])
        while waiting and len(self._holders) < places:
            self._holders.append(waiting.pop(0))
        quietest = min(self._holders, key=lambda stream: levels[stream], default=None)
        louder = {s: self._louder_since.get(s, now) for s in waiting if quietest and levels[s] > levels[quietest]}
        for stream, since in louder.items():
            if quietest is not None and now - since >= HYSTERESIS_S:
                self._holders[self._holders.index(quietest)] = stream
                del louder[stream]
                break
        self._louder_since = louder
