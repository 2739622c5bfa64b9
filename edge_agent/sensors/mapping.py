"""Foreign MQTT payloads to reports, as a mapping file says (TOML). Pure: bytes in, reports out.

::

    encoding = "gb18030"                      # of the payloads; utf-8 where it is left away
    [[rule]]                                  # the first rule that fits is used
    topic = "plant/+/gas"                     # MQTT filter
    when = { "data.type" = ["alarm"] }        # optional: what must stand at a path
    each = "data.items"                       # optional: a list, one report for each entry
    alarm_key = "{topic.1}/{code}"            # texts with paths in braces; {topic.1} is the second level of the topic
    sensor = "{topic.1}"
    headline = "{name}超限 {value}{unit}"
    value = "value"                           # a path that leads to a number
    severity = { path = "level", map = { "H" = 2, "HH" = 1 }, otherwise = 3 }
    cleared = { path = "state", values = ["0", "normal"] }
    observed_at = { path = "ts", form = "unix_ms" }    # iso | unix_s | unix_ms
    [[rule]]
    topic = "plant/+/alive"
    sensor = "{topic.1}"
    heartbeat = true                          # says that a sensor lives, and nothing else

A path is names and numbers with dots; within `each` it begins at the entry, and where nothing stands there, at the
message. A time without a zone is the box's own.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_agent.sensors.reports import BODY_BYTES, REPORTS
from protocols.alarm import Condition, SensorReport
from protocols.envelope import first_fault
from protocols.errors import BadSchemaError, ConfigError, TooLargeError

_HOLE = re.compile(r"\{([^{}]+)\}")
_MISSING = object()


class Part(BaseModel):
    """Base of all parts: strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Severities(Part):
    """Where the severity stands, and what its words mean."""

    path: str
    map: dict[str, int]
    otherwise: int | None = Field(default=None, ge=1, le=4)


class Cleared(Part):
    """What says that the alarm is over."""

    path: str
    values: list[str]


class Moment(Part):
    """When it was observed."""

    path: str
    form: Literal["iso", "unix_s", "unix_ms"] = "iso"


class Rule(Part):
    """One kind of message."""

    topic: str
    when: dict[str, list[str]] = {}
    each: str | None = None
    heartbeat: bool = False
    alarm_key: str = ""
    sensor: str
    headline: str = ""
    detail: str = ""
    event_type: str = "dev.alarm"
    value: str | None = None
    unit: str | None = None
    severity: Severities | int = 3
    cleared: Cleared | None = None
    observed_at: Moment | None = None


class Rules(Part):
    """The whole file."""

    encoding: str = "utf-8"
    rule: list[Rule] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Heard:
    """What one message said: who lives, and the reports."""

    sensors: tuple[str, ...]
    reports: tuple[SensorReport, ...] = ()


def load_rules(text: str) -> Rules:
    """Read a mapping file; raises ConfigError naming the key."""
    try:
        rules = Rules.model_validate(tomllib.loads(text))
        "".encode(rules.encoding)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not valid TOML: {error}") from None
    except ValidationError as error:
        raise ConfigError(first_fault(error)) from None
    except LookupError:
        raise ConfigError("encoding: not known; utf-8 and gb18030 are") from None
    for number, rule in enumerate(rules.rule):
        if not rule.heartbeat and not (rule.alarm_key and rule.headline):
            raise ConfigError(f"rule {number}: alarm_key and headline are missing; only a heartbeat has none")
    return rules


def read_foreign(rules: Rules, topic: str, payload: bytes) -> Heard:
    """Return what a message says; raises TooLargeError, BadSchemaError that names the rule and what it lacks."""
    if len(payload) > BODY_BYTES:
        raise TooLargeError(f"{len(payload)} bytes, the limit is {BODY_BYTES}")
    try:
        message: Any = json.loads(payload.decode(rules.encoding))
    except (ValueError, RecursionError) as error:
        raise BadSchemaError(f"not JSON in {rules.encoding}: {error}") from None
    levels = topic.split("/")
    for number, rule in enumerate(rules.rule):
        scope = _Scope(levels, message)
        if _fits(rule.topic.split("/"), levels) and _holds(rule, scope):
            try:
                return _heard(rule, scope)
            except BadSchemaError as error:
                raise BadSchemaError(f"rule {number} ({rule.topic}): {error}") from None
    raise BadSchemaError(f"no rule of the mapping fits this message on {topic}")


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where paths begin: the entry first, then the message."""

    levels: Sequence[str]
    message: Any
    entry: Any = _MISSING

    def find(self, path: str) -> Any:
        """Return what stands at a path, `_MISSING` where nothing does."""
        steps = path.split(".")
        if steps[0] == "topic" and len(steps) == 2 and steps[1].isdigit():
            return self.levels[int(steps[1])] if int(steps[1]) < len(self.levels) else _MISSING
        found = _walk(self.entry, steps)
        return _walk(self.message, steps) if found is _MISSING else found

    def need(self, path: str) -> Any:
        """Return what stands at a path; raises BadSchemaError."""
        found = self.find(path)
        if found is _MISSING or found is None:
            raise BadSchemaError(f"nothing stands at {path}")
        return found

    def fill(self, text: str) -> str:
        """Fill the holes of a text."""
        return _HOLE.sub(lambda hole: _said(self.need(hole[1])), text)


def _walk(found: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        if isinstance(found, Mapping) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return _MISSING
    return found


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _fits(wanted: Sequence[str], levels: Sequence[str]) -> bool:
    """Match an MQTT topic filter (OASIS MQTT 5, section 4.7)."""
    for at, level in enumerate(wanted):
        if level == "#":
            return True
        if at >= len(levels) or level not in ("+", levels[at]):
            return False
    return len(wanted) == len(levels)


def _holds(rule: Rule, scope: _Scope) -> bool:
    found = ((scope.find(path), values) for path, values in rule.when.items())
    return all(value is not _MISSING and _said(value) in values for value, values in found)


def _heard(rule: Rule, scope: _Scope) -> Heard:
    scopes = list(_entries(rule, scope))
    sensors = tuple(dict.fromkeys(one.fill(rule.sensor) for one in scopes))
    return Heard(sensors) if rule.heartbeat else Heard(sensors, tuple(_report(rule, one) for one in scopes))


def _entries(rule: Rule, scope: _Scope) -> Iterator[_Scope]:
    if rule.each is None:
        yield scope
        return
    entries = scope.need(rule.each)
    if not isinstance(entries, list) or len(entries) > REPORTS:
        raise BadSchemaError(f"{rule.each} must be a list of at most {REPORTS} entries")
    for entry in entries:
        yield _Scope(scope.levels, scope.message, entry)


def _report(rule: Rule, scope: _Scope) -> SensorReport:
    over = rule.cleared is not None and _said(scope.need(rule.cleared.path)) in rule.cleared.values
    try:
        return SensorReport.model_validate(
            {
                "alarm_key": scope.fill(rule.alarm_key),
                "sensor": scope.fill(rule.sensor),
                "headline": scope.fill(rule.headline)[:200],
                "detail": scope.fill(rule.detail)[:4000],
                "event_type": rule.event_type,
                "severity": _severity(rule.severity, scope),
                "condition": Condition.CLEARED if over else Condition.ACTIVE,
                "value": None if rule.value is None else scope.need(rule.value),
                "unit": None if rule.unit is None else scope.fill(rule.unit),
                "observed_at": None if rule.observed_at is None else _moment(rule.observed_at, scope),
            }
        )
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None


def _severity(rule: Severities | int, scope: _Scope) -> int:
    if isinstance(rule, int):
        return rule
    word = _said(scope.need(rule.path))
    found = rule.map.get(word, rule.otherwise)
    if found is None:
        raise BadSchemaError(f"severity: {rule.path} says {word[:40]}, which the mapping does not know")
    return found


def _moment(rule: Moment, scope: _Scope) -> datetime:
    said = scope.need(rule.path)
    try:
        if rule.form == "iso":
            at = datetime.fromisoformat(str(said))
            return at if at.tzinfo is not None else at.astimezone()
        return datetime.fromtimestamp(float(said) / (1000 if rule.form == "unix_ms" else 1), UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        raise BadSchemaError(f"observed_at: {_said(said)[:40]} is no {rule.form}") from None
