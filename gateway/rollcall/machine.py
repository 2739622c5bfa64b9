"""One round of one point: what is asked, and what the answers prove.

**Present means that a fresh decoded picture was seen alive; whatever cannot be proven is missing with its reason.**
Times are monotonic seconds given as arguments. Methods return effects that the shell performs; `deadline` says when
`tick` is due. What becomes of a point after its round (make-up, absent, unreachable) is the session's rule
(`rules/session.py`).

============ ============================= ============ ===========================================
state        event                         next         effect
============ ============================= ============ ===========================================
pending      start, link down              link_lost    Settled (no_link)
pending      start, no camera known        failed       Settled (no_picture)
pending      start                         ringing      Ring
ringing      unanswered, attempts left     ringing      Ring
ringing      unanswered, none left         no_answer    Settled (no_answer)
ringing      link down                     link_lost    Settled (no_link)
ringing      answered                      connecting   Look
connecting   picture                       verifying    Keep, Look
connecting   no picture in time            failed       Settled (no_picture)
verifying    picture                       verifying    Look; Challenge too where it is in doubt already
verifying    window over, seen alive       verifying    Weigh
verifying    window over, seen dead        failed       Settled (frozen, black, covered, no_picture)
verifying    window over, unproven         verifying    Challenge (once), else failed (unproven)
verifying    window over, they contradict  verifying    Ring (the owner is asked once more)
verifying    challenge confirmed           verifying    Weigh
verifying    number out, picture           verifying    Look; Weigh or failed once it proves more
verifying    challenge denied or late      failed       Settled (unproven)
verifying    weighed                       passed,      Settled
                                           passed_with_
                                           issues,
                                           passed_late,
                                           failed
connecting,  link down longer than the     link_lost    Settled (no_link)
verifying    grace
============ ============================= ============ ===========================================
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.rollcall.rules import verdict
from gateway.rollcall.rules.profiles import Profile
from protocols.health import Verdict
from protocols.picture import PictureJudge, Sample
from protocols.rollcall import PRESENT, AbsenceReason, Check, PointState

RING_LEAST_S: Final = 2.0
"""A county that answered while the gateway was away says so as soon as it is rung again."""


@dataclass(frozen=True, slots=True)
class Ring:
    """Ring the owner of the camera and report with `answered` or `unanswered`.

    `spent_s`: it rang so long already before a restart, and has that much less time.
    """

    attempt: int
    spent_s: float = 0.0

    def left_s(self, within_s: float) -> float:
        """Return how long it may still ring; never so short that an answer given meanwhile is not heard."""
        return max(min(RING_LEAST_S, within_s), within_s - self.spent_s)


@dataclass(frozen=True, slots=True)
class Look:
    """Fetch a still that arrived after `newer_than` (engine time; None: after the ring), not before `not_before`.

    One look at a time: while one is under way the effect asks for nothing.
    """

    not_before: float


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep the first picture as evidence."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """Show a number at the far side, and report with `challenged` whether it came back in the picture."""


@dataclass(frozen=True, slots=True)
class Weigh:
    """The picture was seen alive: end the gathering of evidence and report its checks with `weighed`."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The round is over; nothing more is asked."""

    state: PointState
    reason: AbsenceReason | None = None


Effect = Ring | Look | Keep | Challenge | Weigh | Settled

_REASONS = {
    Verdict.FROZEN: AbsenceReason.FROZEN,
    Verdict.BLACK: AbsenceReason.BLACK,
    Verdict.COVERED: AbsenceReason.COVERED,
    Verdict.NO_PICTURE: AbsenceReason.NO_PICTURE,
    Verdict.UNPROVEN: AbsenceReason.UNPROVEN,
}
CREDIT_S = 30.0
"""A round lasts at most so much longer because its gateway is slow."""
_DOUBT_LOOKS = 3
"""Two pictures that are alike are not yet a doubt."""
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
    """One round. Drive it with the methods below; once `settled` every further event is ignored.

    `late`: a round of the make-up, so that whoever comes passes late.
    """

    profile: Profile
    late: bool = False
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
    _over: bool = False
    _weighing: bool = False
    _challenged: bool = False
    _demanded: bool = False
    """Nothing but the number counts: a person asked for it, or the evidence as a whole left life open."""
    _proven: bool = False
    _credit_s: float = CREDIT_S

    def __post_init__(self) -> None:
        self._watch_anew()

    def _watch_anew(self) -> None:
        self._judge = PictureJudge(frozen_after_s=self.profile.observe_s, stale_after_s=3 * self.profile.look_every_s)
        self._first_at, self._last_at, self._looks = None, None, 0

    @property
    def settled(self) -> bool:
        """Tell whether the round is over."""
        return self._over

    @property
    def deadline(self) -> float | None:
        """Monotonic time of the next `tick`, or None."""
        ends = [at for at in (self._deadline, self._grace_ends) if at is not None]
        return min(ends) if ends and not self._still else None

    @property
    def _still(self) -> bool:
        """Tell whether nothing that happens to the point can change it: it has settled, or is being weighed."""
        return self._over or self._weighing

    @property
    def watching(self) -> bool:
        """Tell whether pictures are wanted: neither the owner's word nor a demanded number is waited for."""
        return not (self._still or self._asked_again or self._demanded)

    @property
    def challenged_now(self) -> bool:
        """Tell whether the challenge number is out and not yet confirmed."""
        return self._challenged and not self._still

    @property
    def _grace_ends(self) -> float | None:
        return None if self._lost_at is None else self._lost_at + self.profile.grace_s

    def start(self, *, link_up: bool, camera_known: bool, rang_s: float = 0.0) -> list[Effect]:
        """Begin with a point that was never asked, or with a ring that had rung so long before a restart."""
        if self.settled:
            return []
        if not link_up:
            return self._miss(AbsenceReason.NO_LINK)
        if not camera_known:
            return self._miss(AbsenceReason.NO_PICTURE)
        return self._ring(rang_s)

    def resume(self, told: Verdict | None, *, link_up: bool, now: float) -> list[Effect]:
        """Go on after a restart with a point that had answered: it is not rung again, only looked at anew."""
        if not link_up:
            self._lost_at = now
        return self.answered(told, now)

    def answered(self, told: Verdict | None, now: float) -> list[Effect]:
        """Take the owner's answer with its own verdict on the picture."""
        if self._still:
            return []
        self.told = told
        if self.state is PointState.VERIFYING:
            return self._decide(now)
        self.state, self._deadline = PointState.CONNECTING, now + self.profile.picture_within_s
        return [Look(now)]

    def unanswered(self, now: float) -> list[Effect]:
        """Take that a ring brought no answer."""
        if self._still:
            return []
        if self.state is PointState.VERIFYING:
            return self._decide(now)
        if self.attempts < self.profile.attempts:
            return self._ring()
        return self._miss(AbsenceReason.NO_ANSWER)

    def link(self, *, up: bool, now: float) -> list[Effect]:
        """Take that the way to the point broke or came back."""
        if self._still:
            return []
        if up:
            return self._back(now)
        if self.state in {PointState.PENDING, PointState.RINGING}:
            return self._miss(AbsenceReason.NO_LINK)
        if self._lost_at is None:
            self._lost_at = now
        return []

    def picture(self, sample: Sample, now: float) -> list[Effect]:
        """Take a decoded picture; `sample.at` is its arrival in engine time, which must be the clock of `now`."""
        if not self.watching or self.state not in {PointState.CONNECTING, PointState.VERIFYING}:
            return []
        self._judge.look(sample)
        self._looks, self._last_at = self._looks + 1, sample.at
        next_look: Effect = Look(now + self.profile.look_every_s)
        if self._first_at is None:
            self._first_at = sample.at
            self.state = PointState.VERIFYING
            self._deadline = now + 2 * self.profile.observe_s + self.profile.look_every_s
            return [Keep(), next_look]
        # At its arrival: how long this gateway took to decode it says nothing of the county.
        if self._challenged:
            return self._meanwhile(sample.at) or [next_look]
        if self._watched:
            return self._finish(now, seen_at=sample.at)
        return self._challenge(now) if self._in_doubt(now) else [next_look]

    @property
    def _watched(self) -> bool:
        """Tell whether the picture was watched long enough for a verdict."""
        if self._first_at is None or self._last_at is None:
            return False
        return self._last_at - self._first_at >= self.profile.observe_s and self._looks >= self.profile.least_looks

    def _in_doubt(self, now: float) -> bool:
        """Tell half-way whether the number will be needed: asked for now, it is back the sooner.

        A recording that came back is in doubt whatever the owner says; a picture that stands still only where the owner
        could not prove it either, so that nobody in a quiet room is troubled for nothing.
        """
        if self._looks < _DOUBT_LOOKS or not self.profile.challenge_within_s or self.told in _PROOFS:
            return False
        if self._judge.replayed:
            return True
        stands = self._judge.alike_for_s >= self.profile.observe_s / 2
        return stands and self.told is not Verdict.LIVE and self._judge.verdict(now) is Verdict.UNPROVEN

    def _meanwhile(self, seen_at: float) -> list[Effect]:
        """Take what a picture proves while the number is awaited: a camera that passes packets cannot draw it."""
        if not self._watched:
            return []
        reason = judge(self._judge.verdict(seen_at), self.told, repeats=self._judge.repeats)
        if reason is None:
            return self._weigh()
        return [] if reason is AbsenceReason.UNPROVEN else self._miss(reason)

    def unseen(self, now: float) -> list[Effect]:
        """Take that no still came; it is tried again until the deadline."""
        if not self.watching:
            return []
        return self.tick(now) or [Look(now)]

    def delayed(self, seconds: float) -> None:
        """Take that this gateway itself lost so much time over a picture: the county has it in addition, to a limit."""
        given = min(seconds, self._credit_s)
        if self._deadline is not None and not self._still and given > 0:
            self._deadline, self._credit_s = self._deadline + given, self._credit_s - given

    def tick(self, now: float) -> list[Effect]:
        """Let time pass."""
        if self._still:
            return []
        if self._grace_ends is not None and now >= self._grace_ends:
            return self._miss(AbsenceReason.NO_LINK)
        if self._deadline is None or now < self._deadline:
            return []
        if self._lost_at is not None:
            # The grace outlasts the deadline: a cut line must not be called a missing picture.
            self._deadline = None
            return []
        return self._late(now)

    def _late(self, now: float) -> list[Effect]:
        if self.state is PointState.CONNECTING:
            return self._miss(AbsenceReason.NO_PICTURE)
        if self._challenged:
            return self._miss(AbsenceReason.UNPROVEN)
        return self._finish(now)

    def challenge(self, now: float) -> list[Effect]:
        """Ask for the challenge number because a person wants it; only while the picture is watched."""
        if self._still or self._challenged or self.state is not PointState.VERIFYING:
            return []
        return self._challenge(now, demanded=True)

    def challenged(self, now: float, *, confirmed: bool) -> list[Effect]:
        """Take whether the number came back; without a number that is out it says nothing."""
        if self._still or not self._challenged:
            return []
        if not confirmed:
            return self._miss(AbsenceReason.UNPROVEN)
        self._proven = True
        return self._weigh()

    def weighed(self, checks: Sequence[Check], now: float) -> list[Effect]:
        """Take the checks of the gathered evidence: the verdict follows, or the challenge where they leave it open."""
        if self._over or not self._weighing:
            return []
        if verdict.unproven(checks) and not self._proven and not self._challenged and self.profile.challenge_within_s:
            self._weighing = False
            return self._challenge(now, demanded=True)
        state, reason = verdict.weigh(checks, late=self.late, proven=self._proven)
        return self._settle(state, reason)

    def _back(self, now: float) -> list[Effect]:
        if self._lost_at is not None and self.state is PointState.VERIFYING and not self._asked_again:
            # A picture from before the cut and one from after it must not be taken for movement.
            self.state, self._challenged, self._demanded = PointState.CONNECTING, False, False
            self._watch_anew()
        if self._lost_at is not None and self.state is PointState.CONNECTING:
            self._deadline = now + self.profile.picture_within_s
        self._lost_at = None
        return []

    def _ring(self, spent_s: float = 0.0) -> list[Effect]:
        self.state, self.attempts = PointState.RINGING, self.attempts + 1
        return [Ring(self.attempts, spent_s)]

    def _finish(self, now: float, seen_at: float | None = None) -> list[Effect]:
        at = now if seen_at is None else seen_at
        if contradict(self._judge.verdict(at), self.told) and not self._asked_again:
            self._asked_again, self._deadline = True, None
            return [Ring(self.attempts)]
        return self._decide(now, seen_at)

    def _decide(self, now: float, seen_at: float | None = None) -> list[Effect]:
        # After a second question to the owner the samples are some seconds old: judge them at their own time.
        at = now if seen_at is None else seen_at
        if self._asked_again and self._last_at is not None:
            at = self._last_at
        reason = judge(self._judge.verdict(at), self.told, repeats=self._judge.repeats)
        if reason is None:
            return self._weigh()
        if reason is AbsenceReason.UNPROVEN and not self._challenged and self.profile.challenge_within_s:
            return self._challenge(now)
        return self._miss(reason)

    def _challenge(self, now: float, *, demanded: bool = False) -> list[Effect]:
        self._challenged, self._asked_again, self._demanded = True, False, demanded
        self._deadline = now + self.profile.challenge_within_s
        return [Challenge()] if demanded else [Challenge(), Look(now + self.profile.look_every_s)]

    def _weigh(self) -> list[Effect]:
        self._weighing, self._deadline, self._lost_at = True, None, None
        return [Weigh()]

    def _miss(self, reason: AbsenceReason) -> list[Effect]:
        return self._settle(_MISSED.get(reason, PointState.FAILED), reason)

    def _settle(self, state: PointState, reason: AbsenceReason | None) -> list[Effect]:
        if (reason is None) != (state in PRESENT):
            raise AssertionError("a point is present or has the reason why not")
        self.state, self.reason, self._over = state, reason, True
        return [Settled(state, reason)]


_MISSED = {AbsenceReason.NO_LINK: PointState.LINK_LOST, AbsenceReason.NO_ANSWER: PointState.NO_ANSWER}
