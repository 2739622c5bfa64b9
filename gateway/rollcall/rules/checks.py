"""From what was gathered to the checks of a point (domain.md 3.5, rows 1 to 4, 10 and 11). Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from gateway.rollcall import phrases
from gateway.rollcall.rules import line, sound
from protocols.command import RollCallAnswer
from protocols.defects import PictureWatch
from protocols.health import Verdict
from protocols.rollcall import Check, CheckName, CheckResult


class Connected(Protocol):
    """A point, as far as its connection goes."""

    first_frame_s: float | None


def link(point: Connected, at: datetime, warn_s: float = 5.0) -> Check:
    """Row 1: connected in time; a first picture later than `warn_s` after the answer is an issue (domain.md 3.4)."""
    first = point.first_frame_s
    if first is None:
        return Check(name=CheckName.LINK, result=CheckResult.BAD, at=at, note=phrases.PICTURE_UNSEEN)
    result = CheckResult.GOOD if first <= warn_s else CheckResult.ISSUE
    note = "" if result is CheckResult.GOOD else phrases.SLOW_PICTURE.format(seconds=first)
    return Check(name=CheckName.LINK, result=result, value=first, at=at, note=note)


def by_profile(checks: Sequence[Check], point: Connected, warn_s: float) -> list[Check]:
    """Return gathered checks with the call's own limit for the first picture."""
    return [_judged(one, point, warn_s) if one.name is CheckName.LINK else one for one in checks]


def _judged(one: Check, point: Connected, warn_s: float) -> Check:
    anew = link(point, one.at, warn_s)
    other = one.note if one.result is CheckResult.GOOD else ""  # such as that evidence was not kept
    return anew.model_copy(update={"evidence": one.evidence, "note": anew.note or other})


def pictures(watch: PictureWatch, told: Verdict | None, now: float, at: datetime) -> list[Check]:
    """Rows 2 and 3: the picture and its clock.

    The owner looks at exact pixels before the encoder, so its `live` proves what is unproven here, unless the picture
    that arrives repeats to the last grain, or the roll call demands a number or a clock.
    """
    found = watch.finding(now)
    result, note = found.result, ""
    if result is CheckResult.UNPROVEN and told is Verdict.LIVE and not watch.repeats and not watch.demanded:
        result, note = CheckResult.GOOD if found.defect is None else CheckResult.ISSUE, phrases.PROVEN_BY_OWNER
    age = watch.clock_age_s()
    scene = watch.scene()
    return [
        Check(name=CheckName.PICTURE, result=result, defect=found.defect, value=watch.looks, note=note, at=at),
        Check(
            name=CheckName.SCENE,
            result=scene,
            defect=found.defect if scene is CheckResult.BAD else None,
            value=None if age is None else round(age, 2),
            note=phrases.NUMBER_SEEN if watch.challenge_seen else "",
            at=at,
        ),
    ]


def sound_check(track: Sequence[sound.Loudness], at: datetime) -> Check:
    """Row 4: the sound."""
    found = sound.judge(track)
    return Check(name=CheckName.SOUND, result=found.result, defect=found.defect, value=found.peak_db, at=at)


def line_check(series: Sequence[line.Second], at: datetime) -> Check:
    """Row 10: the line."""
    found = line.judge(series)
    note = ""
    if found.result is not CheckResult.UNKNOWN:
        rtt = "-" if found.rtt_ms is None else f"{found.rtt_ms:.0f}"
        note = phrases.LINE.format(rtt=rtt, loss=found.loss * 100, kbps=found.kbps)
    return Check(name=CheckName.LINE, result=found.result, value=round(found.loss * 100, 2), note=note, at=at)


def power(answer: RollCallAnswer | None, at: datetime) -> Check:
    """Row 11: mains or battery; being on battery is told, not counted against anybody."""
    on_battery = None if answer is None else answer.box.on_battery
    if on_battery is None:
        return Check(name=CheckName.POWER, result=CheckResult.UNKNOWN, at=at)
    value = "battery" if on_battery else "mains"
    note = phrases.ON_BATTERY if on_battery else ""
    return Check(name=CheckName.POWER, result=CheckResult.GOOD, value=value, note=note, at=at)
