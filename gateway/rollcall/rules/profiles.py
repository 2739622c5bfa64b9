"""The rules of a roll call as data: times, weights and what begins a call (domain.md 3.1, 3.3, 3.4, 3.6).

A profile is stored in versions, and a roll call keeps the one it began with: a later edit changes nothing in it.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from protocols.grain import FRESH_LOOKS

Order = Literal["code", "random", "worst_first", "rainfall"]
"""In which order the points are asked: by code, drawn, who had the lowest score last, who has the most rain."""


class Weights(BaseModel):
    """Points of 100 that each check is worth (domain.md 3.6)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    link: float = Field(default=20, ge=0)
    picture: float = Field(default=20, ge=0)
    sound: float = Field(default=20, ge=0)
    leader: float = Field(default=15, ge=0)
    headcount: float = Field(default=10, ge=0)
    answer: float = Field(default=5, ge=0)
    dress: float = Field(default=5, ge=0)
    business: float = Field(default=5, ge=0)
    late: float = Field(default=10, ge=0, description="Taken from `link` where the county came in the make-up.")


class TriggerSource(StrEnum):
    """What can begin a triggered call."""

    ALARM = "alarm"
    WARNING = "warning"


class Trigger(BaseModel):
    """An alarm or warning of `severity` or graver that begins a call of its counties, or offers one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: TriggerSource = TriggerSource.ALARM
    severity: int = Field(default=2, ge=1, le=4, description="1 red to 4 blue")
    event_type: str = Field(default="", max_length=64, description="Prefix such as 11B03; empty: any")
    automatic: bool = Field(default=False, description="Begin at once; else only offer it to the caller")
    rest_s: float = Field(default=3600, ge=0, description="The same county is not taken again within this time")


class Profile(BaseModel):
    """All figures of a roll call; times in seconds. A picture older than `frame_age_limit_ms` is not fresh."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answer_within_s: float = Field(default=30.0, gt=0, description="A ring lasts so long")
    attempts: int = Field(default=2, ge=1, le=10)
    picture_within_s: float = Field(default=15.0, gt=0, description="Answer to first decoded picture: fault")
    picture_warn_s: float = Field(default=5.0, gt=0, description="Answer to first decoded picture: issue")
    observe_s: float = Field(default=8.0, gt=0)
    look_every_s: float = Field(default=1.5, gt=0)
    least_looks: int = Field(default=FRESH_LOOKS, ge=2, description="Fewer cannot prove a still room alive")
    grace_s: float = Field(default=20.0, ge=0, description="A link may be lost so long while the picture is watched")
    frame_age_limit_ms: int = Field(default=2000, gt=0)
    challenge_within_s: float = Field(default=15.0, ge=0, description="Time for the challenge number; 0: none is asked")
    presence_s: float = Field(default=600.0, ge=0, description="From the first ring to the end of the make-up")
    makeup_every_s: float = Field(default=30.0, gt=0, description="Pause between two rounds of the make-up")
    precheck_s: float = Field(default=900.0, ge=0, description="Probes begin so long before a planned call")
    precheck_hidden_s: float = Field(default=120.0, ge=0, description="The same for a random call")
    preempt_notice_s: float = Field(default=5.0, ge=0)
    parallel: int = Field(default=100, ge=1, description="Points rung at the same moment; the next follow as they end")
    connecting: int = Field(default=12, ge=1, description="Points on their way to a first picture at the same moment")
    confirm: bool = Field(default=False, description="A planned call waits for the caller's word")
    auto_next: bool = Field(default=False, description="逐一点名 goes on by itself after a verdict")
    order: Order = "code"
    required_people: int = Field(default=2, ge=0)
    objections_h: float = Field(default=24.0, ge=0)
    incident_counties: int = Field(default=3, ge=2, description="So many counties with one cause are one incident")
    weights: Weights = Weights()
    triggers: tuple[Trigger, ...] = Field(default=(Trigger(), Trigger(source=TriggerSource.WARNING)), max_length=20)

    @model_validator(mode="after")
    def _window_can_end(self) -> "Profile":
        if self.look_every_s > self.observe_s:
            raise ValueError("look_every_s: longer than observe_s, so nothing would be seen twice")
        return self
