"""One point of a roll call: what is asked, and what the answers prove.

**Present means that a fresh decoded picture was seen alive; whatever cannot be proven is absent with its reason.**
Times are monotonic seconds given as arguments. Methods return effects that the shell performs; `deadline` says when
`tick` is due.

============ ============================= ============ ===========================================
state        event                         next         effect
============ ============================= ============ ===========================================
pending      start, link down              absent       Settled (no_link)
pending      start, no camera known        absent       Settled (no_picture)
pending      start                         ringing      Ring
ringing      unanswered, attempts left     ringing      Ring
ringing      unanswered, none left         absent       Settled (no_answer)
ringing      link down                     absent       Settled (no_link)
ringing      answered                      connecting   Look
connecting   picture                       verifying    Keep, Look
connecting   no picture in time            absent       Settled (no_picture)
verifying    picture                       verifying    Look
verifying    window over, words agree      passed or    Settled (frozen, black, covered, unproven, no_picture)
                                           absent
verifying    window over, they contradict  verifying    Ring (the owner is asked once more)
connecting,  link down longer than the     absent       Settled (no_link)
verifying    grace
============ ============================= ============ ===========================================
"""

from dataclasses import dataclass, field

from protocols.health import Verdict
from protocols.picture import PictureJudge, Sample
from protocols.rollcall import AbsenceReason, PointState


@dataclass(frozen=True, slots=True)
class Profile:
    """Times of a roll call in seconds (domain.md 3.4). A picture older than `frame_age_limit_ms` is not fresh."""

    answer_within_s: float = 30.0
    attempts: int = 2
    picture_within_s: float = 15.0
    observe_s: float = 8.0
    look_every_s: float = 1.5
    least_looks: int = 4
    grace_s: float = 20.0
    frame_age_limit_ms: int = 2000


@dataclass(frozen=True, slots=True)
class Ring:
    """Ring the owner of the camera and report with `answered` or `unanswered`."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Look:
    """Fetch a still that arrived after `newer_than` (engine time; None: after the ring), not before `not_before`."""

    not_before: float


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep the first picture as evidence."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The point has its verdict; nothing more is asked."""

    state: PointState
    reason: AbsenceReason | None = None


Effect = Ring | Look | Keep | Settled

_REASONS = {
    Verdict.FROZEN: AbsenceReason.FROZEN,
    Verdict.BLACK: AbsenceReason.BLACK,
    Verdict.COVERED: AbsenceReason.COVERED,
    Verdict.NO_PICTURE: AbsenceReason.NO_PICTURE,
    Verdict.UNPROVEN: AbsenceReason.UNPROVEN,
}
_PROOFS = (Verdict.FROZEN, Verdict.BLACK, Verdict.COVERED)


def contradict(seen: Verdict, told: Verdict | None) -> bool:
    """Tell whether we saw life where the owner says there is none."""
    return seen is Verdict.LIVE and told in _PROOFS


def judge(seen: Verdict, told: Verdict | None, *, repeats: bool = False) -> AbsenceReason | None:
    """Join what was seen here with the owner's own word; None means present.

    The owner looks at exact pixels before the encoder, so its `live` proves what is `unproven` here, and its
    `frozen`, `black` and `covered` stand against movement that the encoder may have added. What `repeats` here to the
    last grain stays unproven whatever the owner says: the picture that arrives is the one that counts.
    """
    if seen is Verdict.LIVE or seen is Verdict.UNPROVEN:
        if told in _PROOFS:
            return _REASONS[told]
        if seen is Verdict.LIVE or (told is Verdict.LIVE and not repeats):
            return None
    return _REASONS[seen]


@dataclass(slots=True)
class Point:
    """One point. Drive it with the methods below; once `settled` every further event is ignored."""

    profile: Profile
    state: PointState = PointState.PENDING
    reason: AbsenceReason | None = None
    attempts: int = 0
    told: Verdict | None = None
    _judge: PictureJudge = field(init=False)
    _deadline: float | None = None
    _first_at: float | None = None
    _last_at: float | None = None
    _looks: int = 0
    _lost_at: float | None = None
    _asked_again: bool = False

    def __post_init__(self) -> None:
        self._watch_anew()

    def _watch_anew(self) -> None:
        self._judge = PictureJudge(frozen_after_s=self.profile.observe_s, stale_after_s=3 * self.profile.look_every_s)
        self._first_at, self._last_at, self._looks = None, None, 0

    @property
    def settled(self) -> bool:
        """Tell whether the verdict stands."""
        return self.state in {PointState.PASSED, PointState.ABSENT}

    @property
    def deadline(self) -> float | None:
        """Monotonic time of the next `tick`, or None."""
        ends = [at for at in (self._deadline, self._grace_ends) if at is not None]
        return min(ends) if ends and not self.settled else None

    @property
    def _grace_ends(self) -> float | None:
        return None if self._lost_at is None else self._lost_at + self.profile.grace_s

    def start(self, *, link_up: bool, camera_known: bool) -> list[Effect]:
        """Begin with a point that was never asked."""
        if self.settled:
            return []
        if not link_up:
            return self._absent(AbsenceReason.NO_LINK)
        if not camera_known:
            return self._absent(AbsenceReason.NO_PICTURE)
        return self._ring()

    def resume(self, told: Verdict | None, *, link_up: bool, now: float) -> list[Effect]:
        """Go on after a restart with a point that had answered: it is not rung again, only looked at anew."""
        if not link_up:
            self._lost_at = now
        return self.answered(told, now)

    def answered(self, told: Verdict | None, now: float) -> list[Effect]:
        """Take the owner's answer with its own verdict on the picture."""
        if self.settled:
            return []
        self.told = told
        if self.state is PointState.VERIFYING:
            return self._decide(now)
        self.state, self._deadline = PointState.CONNECTING, now + self.profile.picture_within_s
        return [Look(now)]

    def unanswered(self, now: float) -> list[Effect]:
        """Take that a ring brought no answer."""
        if self.settled:
            return []
        if self.state is PointState.VERIFYING:
            return self._decide(now)
        if self.attempts < self.profile.attempts:
            return self._ring()
        return self._absent(AbsenceReason.NO_ANSWER)

    def link(self, *, up: bool, now: float) -> list[Effect]:
        """Take that the way to the point broke or came back."""
        if self.settled:
            return []
        if up:
            return self._back(now)
        if self.state in {PointState.PENDING, PointState.RINGING}:
            return self._absent(AbsenceReason.NO_LINK)
        if self._lost_at is None:
            self._lost_at = now
        return []

    def picture(self, sample: Sample, now: float) -> list[Effect]:
        """Take a decoded picture; `sample.at` is its arrival in engine time, which must be the clock of `now`."""
        if self.settled or self.state not in {PointState.CONNECTING, PointState.VERIFYING} or self._asked_again:
            return []
        self._judge.look(sample)
        self._looks, self._last_at = self._looks + 1, sample.at
        next_look: Effect = Look(now + self.profile.look_every_s)
        if self._first_at is None:
            self._first_at = sample.at
            self.state = PointState.VERIFYING
            self._deadline = now + 2 * self.profile.observe_s + self.profile.look_every_s
            return [Keep(), next_look]
        if sample.at - self._first_at < self.profile.observe_s or self._looks < self.profile.least_looks:
            return [next_look]
        return self._finish(now)

    def unseen(self, now: float) -> list[Effect]:
        """Take that no still came; it is tried again until the deadline."""
        if self.settled or self._asked_again:
            return []
        return self.tick(now) or [Look(now)]

    def tick(self, now: float) -> list[Effect]:
        """Let time pass."""
        if self.settled:
            return []
        if self._grace_ends is not None and now >= self._grace_ends:
            return self._absent(AbsenceReason.NO_LINK)
        if self._deadline is None or now < self._deadline:
            return []
        if self._lost_at is not None:
            # The grace outlasts the deadline: a cut line must not be called a missing picture.
            self._deadline = None
            return []
        if self.state is PointState.CONNECTING:
            return self._absent(AbsenceReason.NO_PICTURE)
        return self._finish(now)

    def _back(self, now: float) -> list[Effect]:
        if self._lost_at is not None and self.state is PointState.VERIFYING and not self._asked_again:
            # A picture from before the cut and one from after it must not be taken for movement.
            self.state = PointState.CONNECTING
            self._watch_anew()
        if self._lost_at is not None and self.state is PointState.CONNECTING:
            self._deadline = now + self.profile.picture_within_s
        self._lost_at = None
        return []

    def _ring(self) -> list[Effect]:
        self.state, self.attempts = PointState.RINGING, self.attempts + 1
        return [Ring(self.attempts)]

    def _finish(self, now: float) -> list[Effect]:
        if contradict(self._judge.verdict(now), self.told) and not self._asked_again:
            self._asked_again, self._deadline = True, None
            return [Ring(self.attempts)]
        return self._decide(now)

    def _decide(self, now: float) -> list[Effect]:
        # After a second question to the owner the samples are some seconds old: judge them at their own time.
        at = self._last_at if self._asked_again and self._last_at is not None else now
        reason = judge(self._judge.verdict(at), self.told, repeats=self._judge.repeats)
        if reason is not None:
            return self._absent(reason)
        self.state, self.reason = PointState.PASSED, None
        return [Settled(PointState.PASSED)]

    def _absent(self, reason: AbsenceReason) -> list[Effect]:
        self.state, self.reason = PointState.ABSENT, reason
        return [Settled(PointState.ABSENT, reason)]
