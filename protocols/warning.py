"""Public warnings written here (预警): what one says, where it stands, what travels.

A warning that is dispatched goes up as one event (`ISSUED`) with its CAP document and the Ed25519 signature over the
very bytes of it, so that no tier on the way can write another's warning. Colours are those of the alarms: red, orange,
yellow, blue are levels I to IV (突发事件应对法 2024, article 63).
"""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from protocols.alarm import Severity
from protocols.envelope import Event, event_type, first_fault
from protocols.errors import BadSchemaError
from protocols.ids import CentreCode

ISSUED = event_type("warning", "issued")


class WarningState(StrEnum):
    """Where a warning stands (domain rules, section 7)."""

    RECEIVED = "received"
    DRAFTED = "drafted"
    REVIEWED = "reviewed"
    SIGNED = "signed"
    DISPATCHED = "dispatched"
    DELIVERED = "delivered"
    CALLED = "called"
    CONFIRMED = "confirmed"
    UPDATED = "updated"
    CANCELLED = "cancelled"
    ARCHIVED = "archived"


class WarningOrigin(StrEnum):
    """Whose it is: written here, taken in from outside, or issued by a gateway below."""

    OWN = "own"
    RECEIVED = "received"
    BELOW = "below"


class Part(BaseModel):
    """Base of all parts: frozen, strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WarnedArea(Part):
    """Where a warning holds: a name, division codes of 6 to 12 digits, a CAP polygon (`lat,lon lat,lon …`)."""

    name: str = Field(min_length=1, max_length=200)
    codes: tuple[str, ...] = Field(default=(), max_length=200)
    polygon: str = Field(default="", max_length=8000)


class WarningContent(Part):
    """What a warning says; a draft may lack anything but its event and colour."""

    event_code: str = Field(min_length=1, max_length=16, pattern=r"^[0-9A-Z.]+$")
    event: str = Field(min_length=1, max_length=32)
    colour: Severity
    headline: str = Field(default="", max_length=160)
    description: str = Field(default="", max_length=4000)
    instruction: str = Field(default="", max_length=4000)
    contact: str = Field(default="", max_length=200)
    areas: tuple[WarnedArea, ...] = Field(default=(), max_length=50)
    onset: AwareDatetime | None = None
    expires: AwareDatetime | None = None


REQUIRED = ("headline", "description", "instruction", "areas", "onset")
"""What must be filled in by hand: 突发事件应对法 2024, article 64 wants class, level, beginning, possible area, what to
beware of, what to do, issuer and time of issue. Class and level are never empty, the signing sets the last two."""


def missing(content: WarningContent) -> tuple[str, ...]:
    """Return the fields that article 64 demands and that are empty."""
    empty = [name for name in REQUIRED if not getattr(content, name)]
    located = not content.areas or all(area.codes or area.polygon for area in content.areas)
    return tuple(empty if located else [*empty, "areas.codes"])


class IssuedData(BaseModel):
    """Payload of `warning.issued`. `signature` and `key` (raw Ed25519 public key) are base64."""

    model_config = ConfigDict(frozen=True, extra="allow")

    centre: CentreCode
    document: str = Field(min_length=1, max_length=256 * 1024)
    signature: str = Field(min_length=80, max_length=100)
    key: str = Field(min_length=40, max_length=48)


def issued_data(event: Event) -> IssuedData:
    """Read the payload; raises BadSchemaError."""
    try:
        return IssuedData.model_validate(event.data)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None
