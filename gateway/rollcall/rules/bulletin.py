"""The bulletin of a roll call (通报): what the lines of the sheet add up to (domain.md 3.8).

Rates are computed over what was due or judged, and are None where nothing was: a rate of nothing is not 100 %.
A published bulletin is sealed: SHA-256 over its canonical JSON, which names the hash of every line.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from gateway.rollcall import phrases
from gateway.rollcall.rules.sheet import Line, cells, clock, result
from protocols.rollcall import Cause, CheckResult, PointState

BLAMED = frozenset({Cause.COUNTY_TERMINAL, Cause.COUNTY_STAFF})
"""Causes for which a unit is named; lines, platform and power are no fault of the unit (domain.md 3.6)."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The figures of a roll call. Rates are 0 to 1."""

    due: int
    present: int
    first: int
    makeup: int
    missing: int
    excused: int
    at_post_rate: float | None
    picture_rate: float | None
    sound_rate: float | None
    connect_s: float | None
    causes: Mapping[str, int]


def tally(lines: Sequence[Line]) -> Tally:
    """Add up the lines."""
    due = [line for line in lines if line.due]
    there = [line for line in due if line.present]
    late = [line for line in there if line.state is PointState.PASSED_LATE or line.makeup_at is not None]
    times = [line.connect_s for line in due if line.connect_s is not None]
    causes = Counter(line.cause.value for line in due if line.cause is not None)
    return Tally(
        due=len(due),
        present=len(there),
        first=len(there) - len(late),
        makeup=len(late),
        missing=len(due) - len(there),
        excused=len(lines) - len(due),
        at_post_rate=len(there) / len(due) if due else None,
        picture_rate=good_rate(line.picture.result for line in due),
        sound_rate=good_rate(line.sound.result for line in due),
        connect_s=round(sum(times) / len(times), 1) if times else None,
        causes=dict(sorted(causes.items())),
    )


def good_rate(results: Iterable[str]) -> float | None:
    """Return the share of good ones among what was judged; None where nothing was."""
    judged = [one for one in results if one and one != CheckResult.UNKNOWN]
    return sum(one == CheckResult.GOOD for one in judged) / len(judged) if judged else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulletin:
    """What is published. `number` is the 文号, `issue` the 期次; `version` above 1 corrects the one before."""

    number: str
    issue: int
    version: int
    centre: str
    roll_call_id: str
    kind: str
    called_at: datetime
    caller: str
    reviewer: str
    published_at: datetime
    publisher: str
    drill: bool
    tally: Tally
    problems: tuple[str, ...]
    praise: tuple[str, ...]
    demands: str = ""
    remedy_by: datetime | None = None
    corrects: str = ""
    attachments: tuple[str, ...] = ()
    lines: Mapping[str, str] | None = None
    """For each centre the SHA-256 of its line, so that a unit can prove its own without seeing the others."""


def problems(lines: Sequence[Line]) -> tuple[str, ...]:
    """Name the units with a fault and what it is; faults that are not the unit's say whose they are."""
    named = []
    for line in lines:
        if not line.due or (line.present and not line.issues):
            continue
        what = result(line) if not line.present else "、".join(phrases.ISSUES.get(one, one) for one in line.issues)
        whose = f"（{phrases.CAUSES[line.cause]}）" if line.cause is not None and line.cause not in BLAMED else ""
        named.append(f"{line.name}：{what}{whose}")
    return tuple(named)


def praise(lines: Sequence[Line]) -> tuple[str, ...]:
    """Name the units that answered at the first call without any fault."""
    return tuple(line.name for line in lines if line.state is PointState.PASSED and not line.issues)


def line_hash(line: Line) -> str:
    """Return the SHA-256 of a line: of the words of the form, so that whoever holds the paper can check it."""
    return cells_hash(cells(line))


def cells_hash(words: Sequence[str]) -> str:
    """Return the SHA-256 of a line's cells."""
    return hashlib.sha256(json.dumps(list(words), ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def plain(bulletin: Bulletin) -> dict[str, Any]:
    """Return the bulletin as JSON; times in UTC."""
    made: dict[str, Any] = json.loads(json.dumps(asdict(bulletin), default=_time))
    return made


def _time(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise AssertionError(f"a bulletin holds texts, numbers and times, not {type(value).__name__}")


def seal(content: Mapping[str, Any]) -> str:
    """Return the hash that stands on a published bulletin, of what `plain` gives."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def percent(rate: float | None) -> str:
    """Return a rate as people write it; nothing judged is a dash."""
    return phrases.NONE if rate is None else f"{rate:.1%}"


def figures(content: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the figures of a bulletin (`plain`) in the words of the form."""
    told = content["tally"]
    seconds = told["connect_s"]
    causes = "、".join(f"{phrases.CAUSES[Cause(cause)]} {count}" for cause, count in told["causes"].items())
    values = {
        "due": str(told["due"]),
        "present": str(told["present"]),
        "first": str(told["first"]),
        "makeup": str(told["makeup"]),
        "missing": str(told["missing"]),
        "excused": str(told["excused"]),
        "at_post_rate": percent(told["at_post_rate"]),
        "picture_rate": percent(told["picture_rate"]),
        "sound_rate": percent(told["sound_rate"]),
        "connect_s": phrases.NONE if seconds is None else f"{seconds:.1f}",
        "causes": causes or phrases.NONE,
    }
    return tuple((phrases.TALLY[name], text) for name, text in values.items())


def head(content: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return who called whom and when, in the words of the form; what is empty is left away."""
    values = {
        "number": content["number"],
        "issue": phrases.ISSUE.format(issue=content["issue"]),
        "version": phrases.VERSION.format(version=content["version"]) if content["version"] > 1 else "",
        "corrects": content["corrects"],
        "kind": phrases.KINDS.get(content["kind"], content["kind"]),
        "called_at": clock(datetime.fromisoformat(content["called_at"])),
        "caller": content["caller"],
        "reviewer": content["reviewer"],
        "publisher": content["publisher"],
        "published_at": clock(datetime.fromisoformat(content["published_at"])),
    }
    return tuple((phrases.BULLETIN[name], text) for name, text in values.items() if text)
