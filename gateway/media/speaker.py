"""Who speaks: the dominant one among several sounds, by their RFC 6464 levels; holds on through pauses and coughs.

After Volfin and Cohen, "Dominant speaker identification for multipoint videoconferencing" (2012), in small: activity is
scored over a short, a middle and a long span, and a challenger must beat the present speaker in each of them. A cough
wins the short span only, a pause between two words loses it only.

**The present speaker stays until somebody else is clearly the one.**
"""

SPANS_S = (0.1, 0.5, 2.0)
"""How far back the three scores look: a syllable, a word, a sentence."""
MARGINS = (1.5, 1.3, 1.1)
"""How much louder than the present speaker a challenger must be over each span."""
SPEECH = 55
"""-dBov: what is quieter is room noise and no activity."""
FLOOR = 2.0
"""Activity over a word's span below which nobody takes the floor; in decibels above SPEECH."""
OLD_S = 1.0


class _Voice:
    """Activity of one sound over the three spans: exponential means, so that nothing grows."""

    def __init__(self, now: float) -> None:
        self.scores = [0.0, 0.0, 0.0]
        self.at = now

    def heard(self, minus_dbov: int, now: float) -> None:
        activity = max(0.0, SPEECH - minus_dbov)
        passed = max(0.0, now - self.at)
        self.at = now
        for place, span in enumerate(SPANS_S):
            share = min(1.0, passed / span)
            self.scores[place] += (activity - self.scores[place]) * share

    def score(self, place: int, now: float) -> float:
        """Return a score as it stands now: a sound that stopped coming fades."""
        silent = max(0.0, now - self.at - 0.06)
        return self.scores[place] * max(0.0, 1.0 - silent / SPANS_S[place])


class Speakers:
    """Feed `heard`; `tick` (every 100 to 300 ms) returns who speaks now, None before anybody did."""

    def __init__(self) -> None:
        self.current: str | None = None
        self._voices: dict[str, _Voice] = {}

    def heard(self, stream: str, minus_dbov: int, now: float) -> None:
        """Take a level of a stream's sound."""
        voice = self._voices.get(stream)
        if voice is None:
            voice = self._voices[stream] = _Voice(now)
        voice.heard(minus_dbov, now)

    def forget(self, stream: str) -> None:
        """Note that a stream is gone; it is no longer the speaker."""
        self._voices.pop(stream, None)
        if self.current == stream:
            self.current = None

    def tick(self, now: float) -> str | None:
        """Return the dominant speaker."""
        challengers = [name for name in self._voices if name != self.current and self._beats(name, now)]
        if challengers:
            self.current = max(challengers, key=lambda name: (self._voices[name].score(1, now), name))
        return self.current

    def _beats(self, name: str, now: float) -> bool:
        voice = self._voices[name]
        if voice.score(1, now) < FLOOR:
            return False
        present = self._voices.get(self.current or "")
        if present is None:
            return True
        return all(voice.score(place, now) > margin * present.score(place, now) for place, margin in enumerate(MARGINS))
