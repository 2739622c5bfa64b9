"""What is wrong with a picture (domain.md 3.5 rows 2 and 3): one watch over the looks of one point of a roll call.

Feed `look` with each decoded picture, read `finding`. **A picture is good only where life was proven**: by movement, by
new grain, by a clock in the picture that goes right, or by the challenge number. Frozen, black, covered, replayed and
lost pictures are bad; blur, a colour cast and stripes are issues of a picture that lives; all else is unproven.
"""

from dataclasses import dataclass, field

from protocols.health import Verdict
from protocols.picture import FROZEN_AFTER_S, PictureFigures, PictureJudge, Sample
from protocols.rollcall import CheckResult, Defect
from protocols.testmark import Mark

CLOCK_OFF_S = 5.0
"""Domain 3.5 row 3: a picture's clock may be so far from ours."""
BLURRED_EDGES = 0.11
"""Steepest step as a part of the span from dark to bright; a sharp picture reaches 0.25 and more."""
SPAN_LEAST = 30.0
"""Less contrast than this says nothing of sharpness."""
COVERED_EDGES = 2.5
"""A lens behind a hand or a cloth gives light and shade without one edge."""
CAST_LEAST = 12.0
STRIPES_LEAST = 6.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What the looks prove so far."""

    result: CheckResult
    defect: Defect | None = None


_BAD = {
    Verdict.NO_PICTURE: Defect.LOST,
    Verdict.FROZEN: Defect.FROZEN,
    Verdict.BLACK: Defect.BLACK,
    Verdict.COVERED: Defect.COVERED,
}


def flaw(figures: PictureFigures) -> Defect | None:
    """Return what is wrong with the quality of one picture; a test card, which has no natural colours, is spared."""
    if figures.mark is not None:
        return None
    if figures.stripes >= STRIPES_LEAST:
        return Defect.STRIPES
    if figures.cast >= CAST_LEAST:
        return Defect.COLOUR_CAST
    if figures.span >= SPAN_LEAST and figures.edges < BLURRED_EDGES * figures.span:
        return Defect.BLURRED
    return None


def featureless(figures: PictureFigures) -> bool:
    """Tell whether the picture has light and shade, but nothing that the lens could have drawn."""
    return figures.mark is None and figures.edges < COVERED_EDGES


@dataclass(slots=True)
class PictureWatch:
    """Watches the pictures of one point. `code` is the centre that must be in a test card's mark.

    With `demanded` a picture that lives is good only once its clock or the challenge number proved that it is of now: a
    recording longer than the watch looks like life itself.
    """

    code: str
    challenge: str | None = None
    demanded: bool = False
    clock_off_s: float = 0.0
    """How much the far box's clock is ahead of ours, as its answer showed."""
    observe_s: float = FROZEN_AFTER_S
    stale_after_s: float = 6.0
    looks: int = 0
    challenge_seen: bool = False
    _judge: PictureJudge = field(init=False)
    _flaws: list[Defect | None] = field(default_factory=list)
    _featureless: int = 0
    _clock: "MarkClock" = field(init=False)

    def __post_init__(self) -> None:
        self._judge = PictureJudge(frozen_after_s=self.observe_s, stale_after_s=self.stale_after_s)
        self._clock = MarkClock(self.code, self.observe_s)

    def look(self, sample: Sample, figures: PictureFigures | None, unix_ms: int) -> None:
        """Take one picture; `unix_ms` is our wall clock at its arrival."""
        self.looks += 1
        self._judge.look(sample)
        if figures is None:
            return
        self._flaws.append(flaw(figures))
        self._featureless += featureless(figures)
        if self.challenge is not None and figures.challenge == self.challenge:
            self.challenge_seen = True
        mark = None if figures.mark is None else Mark(*figures.mark)
        self._clock.look(mark, sample.at, unix_ms + round(self.clock_off_s * 1000))

    def finding(self, now: float) -> Finding:
        """Return what is proven at `now` (the clock of the samples)."""
        verdict = self._judge.verdict(now)
        bad = self._untrue(verdict)
        if bad is not None:
            return Finding(CheckResult.BAD, bad)
        found = self._usual_flaw()
        of_now = self.challenge_seen or self._clock.right
        if not of_now and (self.demanded or verdict is not Verdict.LIVE):
            return Finding(CheckResult.UNPROVEN, found)
        return Finding(CheckResult.GOOD if found is None else CheckResult.ISSUE, found)

    def _untrue(self, verdict: Verdict) -> Defect | None:
        if verdict in (Verdict.NO_PICTURE, Verdict.BLACK, Verdict.COVERED):
            return _BAD[verdict]
        if self._featureless * 2 > self.looks:
            return Defect.COVERED
        if self._clock.stopped:
            return Defect.FROZEN
        if self._clock.wrong or self._judge.replayed:
            return Defect.REPLAY
        return _BAD.get(verdict)

    def scene(self) -> CheckResult:
        """Return whether the picture's own clock shows now (row 3); unknown where it has none."""
        if self._clock.wrong or self._clock.stopped:
            return CheckResult.BAD
        return CheckResult.GOOD if self._clock.right or self.challenge_seen else CheckResult.UNKNOWN

    @property
    def repeats(self) -> bool:
        """Whether not even the grain of the picture changed (see `PictureJudge.repeats`)."""
        return self._judge.repeats

    def clock_age_s(self) -> float | None:
        """Return how old the newest picture was by its own clock."""
        return self._clock.age_s

    def _usual_flaw(self) -> Defect | None:
        """Return the flaw that most looks show: one bad key frame is no defect of a camera."""
        for defect in (Defect.STRIPES, Defect.COLOUR_CAST, Defect.BLURRED):
            if self._flaws.count(defect) * 2 > len(self._flaws):
                return defect
        return None


class MarkClock:
    """The clock in a test card's mark: whether it goes, and whether it goes right."""

    def __init__(self, code: str, observe_s: float) -> None:
        self._code = code
        self._observe_s = observe_s
        self._ages: list[float] = []
        self._still_since: float | None = None
        self._last: tuple[Mark, float] | None = None
        self._foreign = False

    def look(self, mark: Mark | None, at: float, unix_ms: int) -> None:
        """Take the mark of the next picture, None where there is none."""
        if mark is None:
            return
        self._foreign = self._foreign or mark.code != self._code
        if self._last is None or self._last[0].drawn_ms != mark.drawn_ms:
            self._still_since = at
        self._last = mark, at
        self._ages.append(mark.age_ms(unix_ms) / 1000)

    @property
    def age_s(self) -> float | None:
        """Age of the newest picture by its own clock."""
        return self._ages[-1] if self._ages else None

    @property
    def stopped(self) -> bool:
        """Whether the clock in the picture stands still while pictures keep coming."""
        if self._last is None or self._still_since is None or self.wrong_place:
            return False
        return self._last[1] - self._still_since >= self._observe_s

    @property
    def wrong_place(self) -> bool:
        """Whether the mark names another centre."""
        return self._foreign

    @property
    def wrong(self) -> bool:
        """Whether the newest picture is of another place, or of another time while its clock goes."""
        if self.wrong_place:
            return True
        return len(self._ages) > 1 and abs(self._ages[-1]) > CLOCK_OFF_S and self._still_since == self._at

    @property
    def right(self) -> bool:
        """Whether two pictures or more showed our time and place, the newest among them."""
        good = [age for age in self._ages if abs(age) <= CLOCK_OFF_S]
        return not self._foreign and len(good) > 1 and abs(self._ages[-1]) <= CLOCK_OFF_S

    @property
    def _at(self) -> float | None:
        return None if self._last is None else self._last[1]
