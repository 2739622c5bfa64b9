"""Which step of reviewing and publishing may follow (domain.md 3.3: reviewing -> published -> archived).

**Who conducted the call never confirms it, and what is published never changes.**

=================== ============================================================== ==========================
step                may be taken while                                             by
=================== ============================================================== ==========================
review              the call is reviewing or partial; every point has a verdict    not the one who called
object              reviewed, not published, window open                           the unit, or noted for it
decide              the objection is open, nothing published                       not the one who noted it
publish             reviewed, no objection open, window over or waived by reason   not the one who called
correct             published                                                      not the one who called
archive             published; signed by all units or with a reason                anybody who publishes
=================== ============================================================== ==========================
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from protocols.errors import BadInputError, NotAllowedError, WrongMomentError
from protocols.rollcall import SessionState

WINDOW_HOURS = 24.0
"""Domain, 3.3: the objections window where the profile says nothing else."""
CONFIRMED = frozenset({SessionState.REVIEWING, SessionState.PARTIAL})
OUT = frozenset({SessionState.PUBLISHED, SessionState.ARCHIVED})


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a roll call stands between its end and its archive. `open_points` have no verdict yet."""

    state: SessionState
    caller: str
    open_points: int
    reviewed_at: datetime | None = None
    objections_until: datetime | None = None
    open_objections: int = 0
    waived: bool = False


def hours_of(rules: Mapping[str, Any]) -> float:
    """Return the objections window of the profile that a call began with."""
    return float(rules.get("objections_h", WINDOW_HOURS))


def until(now: datetime, hours: float) -> datetime:
    """Return the end of an objections window; raises BadInputError for one below 0 or above 30 days."""
    if not 0 <= hours <= 720:
        raise BadInputError("the objections window has 0 to 720 hours")
    return now + timedelta(hours=hours)


def check_review(standing: Standing, by: str) -> None:
    """Raise where the verdicts cannot be confirmed by `by` now."""
    _ended(standing)
    if standing.reviewed_at is not None:
        raise WrongMomentError("the verdicts are confirmed already; publish, or decide objections")
    if standing.open_points:
        raise WrongMomentError(f"{standing.open_points} points have no verdict yet; give one, or skip with a reason")
    _second(standing, by)


def check_objection(standing: Standing, now: datetime) -> None:
    """Raise where a unit cannot object now. One that comes late is kept by the caller and shown as late."""
    _ended(standing)
    if standing.reviewed_at is None or standing.objections_until is None:
        raise WrongMomentError("the verdicts are not confirmed yet; units object to confirmed verdicts")
    if now > standing.objections_until:
        raise WrongMomentError("the objections window is over; ask for a correction of the bulletin")


def check_decision(standing: Standing, state: str, noted_by: str, by: str) -> None:
    """Raise where an objection in `state`, noted here by `noted_by` ("" for the unit itself), cannot be decided."""
    _ended(standing)
    if state != "open":
        raise WrongMomentError(f"the objection was decided: {state}")
    if noted_by == by:
        raise NotAllowedError("who notes an objection does not decide it: somebody else must")


def check_publish(standing: Standing, by: str, now: datetime) -> None:
    """Raise where the bulletin cannot go out now."""
    _ended(standing)
    if standing.reviewed_at is None or standing.objections_until is None:
        raise WrongMomentError("a second person confirms the verdicts first (双人复核)")
    if standing.open_objections:
        raise WrongMomentError(f"{standing.open_objections} objections are open; decide them first")
    if now < standing.objections_until and not standing.waived:
        raise WrongMomentError("the objections window is open; wait, or close it early with a reason")
    _second(standing, by)


def check_correction(standing: Standing, by: str, reason: str) -> None:
    """Raise where no new version of the bulletin can go out."""
    if standing.state not in OUT:
        raise WrongMomentError("nothing is published yet; change the verdicts instead")
    if not reason.strip():
        raise BadInputError("a correction says why")
    _second(standing, by)


def check_archive(state: SessionState, unsigned: Sequence[str], reason: str) -> None:
    """Raise where a published call cannot be put away."""
    if state is not SessionState.PUBLISHED:
        raise WrongMomentError("only what is published is archived")
    if unsigned and not reason.strip():
        raise WrongMomentError(f"{len(unsigned)} units have not signed ({'、'.join(unsigned[:5])}); give a reason")


def _ended(standing: Standing) -> None:
    if standing.state in OUT:
        raise WrongMomentError("the bulletin is out; correct it with a new version")
    if standing.state not in CONFIRMED:
        raise WrongMomentError(f"a roll call that is {standing.state.value} is not reviewed; let it end first")


def _second(standing: Standing, by: str) -> None:
    if by == standing.caller:
        raise NotAllowedError("who called the roll does not confirm or publish it: a second person must")
