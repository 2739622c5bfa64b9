"""The chain of one centre: who is told by which channel after how long, per severity. Data, never constants.

`own` ladders are for alarms whose first gateway this is; `handed` ladders for those that the tier below handed up, or
that it keeps silent about for `silent_after_s`. A step may tell people, hand the alarm to the tier above, or both.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.ports.notify import Channel
from protocols.tiers import Tier

DAY_S = 86_400


class Part(BaseModel):
    """Base of all parts: frozen, strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Contact(Part):
    """A person who can be told; `role` is what steps name, such as `duty_officer` or `leader`."""

    name: str = Field(min_length=1, max_length=64)
    role: str = Field(min_length=1, max_length=32, pattern=r"^[a-z_]+$")
    phone: str | None = Field(default=None, pattern=r"^\+?[0-9 -]{3,20}$")
    email: str | None = Field(default=None, pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$", max_length=128)
    url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$", max_length=512)

    def address(self, channel: Channel) -> str | None:
        """Return where the person is reached by a channel, None where nobody said."""
        known = {Channel.SOUND: self.role, Channel.EMAIL: self.email, Channel.WEBHOOK: self.url}
        return self.phone if channel is Channel.SMS else known[channel]


class Target(Part):
    """Whom a step tells: everybody of a role, or one person by name."""

    role: str | None = Field(default=None, max_length=32)
    name: str | None = Field(default=None, max_length=64)
    channels: tuple[Channel, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.role is None) == (self.name is None):
            raise ValueError("a target names a role or a person, not both")
        return self


class Step(Part):
    """What happens `after_s` seconds after the beginning of the chain."""

    after_s: int = Field(ge=0, le=DAY_S)
    targets: tuple[Target, ...] = ()
    upward: bool = False

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not self.targets and not self.upward:
            raise ValueError("a step tells somebody, or hands the alarm up")
        return self


class Ladder(Part):
    """The steps of one severity; none at all means that nobody is told."""

    steps: tuple[Step, ...] = Field(default=(), max_length=20)
    repeats: int = Field(default=0, ge=0, le=10)
    repeat_every_s: int = Field(default=600, ge=60, le=DAY_S)
    reopen_after_s: int | None = Field(default=None, ge=60, le=4 * DAY_S)
    silent_after_s: int | None = Field(default=None, ge=60, le=DAY_S)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        times = [step.after_s for step in self.steps]
        if times != sorted(times):
            raise ValueError("steps stand in the order of after_s")
        return self


Severity = Annotated[int, Field(ge=1, le=4)]


class Chain(Part):
    """Everything that one centre decides about telling people."""

    contacts: tuple[Contact, ...] = Field(default=(), max_length=500)
    own: dict[Severity, Ladder] = Field(default_factory=dict)
    handed: dict[Severity, Ladder] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        names = {contact.name for contact in self.contacts}
        if len(names) < len(self.contacts):
            raise ValueError("each person stands once among the contacts")
        for ladder in (*self.own.values(), *self.handed.values()):
            for target in (target for step in ladder.steps for target in step.targets):
                if target.name is not None and target.name not in names:
                    raise ValueError(f"nobody among the contacts is called {target.name}")
        return self

    def ladder(self, severity: int, *, handed: bool) -> Ladder:
        """Return the ladder of a severity; an empty one where none is given."""
        return (self.handed if handed else self.own).get(severity, Ladder())

    def people(self, target: Target) -> tuple[Contact, ...]:
        """Return whom a target means; a role without a person stands for itself, so that the console still sounds."""
        if target.name is not None:
            return tuple(contact for contact in self.contacts if contact.name == target.name)
        found = tuple(contact for contact in self.contacts if contact.role == target.role)
        return found or (Contact(name=target.role or "duty_officer", role=target.role or "duty_officer"),)


def _step(after_s: int, role: str, *channels: Channel, upward: bool = False) -> Step:
    return Step(after_s=after_s, targets=(Target(role=role, channels=channels),), upward=upward)


def default_chain(tier: Tier) -> Chain:
    """Return the chain that is shipped (domain rules, 5.5): deadlines count from the raise, or from being handed up."""
    call, ring = (Channel.SMS, Channel.EMAIL), Channel.SOUND
    red = (
        _step(0, "duty_officer", ring),
        _step(60, "duty_officer", *call),
        _step(180, "leader", *call),
        Step(after_s=300, upward=True),
    )
    orange = (_step(0, "duty_officer", ring), _step(180, "leader", *call), Step(after_s=600, upward=True))
    own = {
        1: Ladder(steps=red, repeats=2, reopen_after_s=1800),
        2: Ladder(steps=orange, reopen_after_s=3600),
        3: Ladder(steps=(_step(0, "duty_officer", ring), _step(900, "leader", *call))),
        4: Ladder(),
    }
    further = tier is not Tier.NATIONAL
    handed = {
        1: Ladder(
            steps=(_step(0, "duty_officer", ring, *call), _step(300, "leader", *call, upward=further)),
            repeats=2,
            reopen_after_s=1800,
            silent_after_s=360,
        ),
        2: Ladder(steps=(_step(0, "duty_officer", ring, *call),), reopen_after_s=3600, silent_after_s=720),
        3: Ladder(steps=(_step(0, "duty_officer", ring),)),
    }
    return Chain(own=own, handed=handed)
