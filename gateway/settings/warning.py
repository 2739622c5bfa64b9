"""Settings of public warnings: feeds that are read, who may issue what, call-and-confirm."""

from pathlib import Path

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
