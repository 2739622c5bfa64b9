"""Settings of public warnings: feeds that are read, who may issue what, call-and-confirm."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from gateway.settings.base import Section


class FeedSection(Section):
    """One feed of warnings that is read again and again."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,32}$", description="Short name, shown in alarms and figures.")
    url: str = Field(pattern=r"^https?://\S+$", description="Address of the Atom feed or CAP message.")
    every_s: int = Field(default=60, ge=10, le=86_400, description="Seconds between two looks.")
    stale_after_s: int = Field(
        default=86_400, ge=60, description="A feed whose own time is older than this stands still: an alarm."
    )
    hosts: tuple[str, ...] = Field(
        default=(), description="Further hosts from which messages that the feed names are fetched."
    )


class IssuerSection(Section):
    """A unit that may issue warnings from this gateway."""

    unit: str = Field(min_length=1, max_length=64, description="Full name of the unit.")
    sender: str = Field(pattern=r"^[0-9]{8}$", description="Its eight digits behind the division code.")
    events: tuple[str, ...] = Field(min_length=1, description="Event codes, or how they begin.")
    gravest: int = Field(default=3, ge=1, le=4, description="Gravest colour it may issue: 1 red to 4 blue.")


class WarningSection(Section):
    """Public warnings in and out, and call-and-confirm (预警与叫应)."""

    feeds: tuple[FeedSection, ...] = Field(
        default=(),
        description="Atom feeds of CAP warnings that are read, e.g. "
        '[{name = "qixiang", url = "https://feed.example/cap.atom", every_s = 60}].',
    )
    feeds_authority: Path | None = Field(
        default=None, description="PEM file of the authority behind the feeds' certificates; default: the system's."
    )
    issuers: tuple[IssuerSection, ...] = Field(
        default=(),
        description="Units that may issue warnings here, never weather signals, e.g. "
        '[{unit = "如东县应急管理局", sender = "41800000", events = ["12A"], gravest = 3}].',
    )
    public_feed: bool = Field(
        default=False,
        description="Serve the Atom feed of own warnings (/feeds/warnings.atom) to everybody; drills stay out of it.",
    )
    call_confirm: Literal["start", "offer", "off"] = Field(
        default="start",
        description='Call-and-confirm of red and orange warnings, and of strong convection: "start" calls at once, '
        '"offer" waits for a click, "off" does neither.',
    )
    answer_within_s: int = Field(
        default=300, ge=1, le=3600, description="Seconds a called person has before the next one is called."
    )
