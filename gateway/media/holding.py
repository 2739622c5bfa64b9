"""The media room as other rooms see it: each holds streams in its own kind of demand."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from gateway.media.machine import Kind
from gateway.ports.media import Still, StreamState

if TYPE_CHECKING:
    from gateway.media.service import MediaService, Pass


class Holding:
    """The media room as seen by a room that holds streams: roll call or dispatch."""

    def __init__(self, media: "MediaService", kind: Kind) -> None:
        self._media = media
        self._kind = kind

    def hold(self, stream: str, holder: str) -> None:
        """Want a stream until `release`."""
        self._media.want(stream, holder, self._kind)

    def release(self, stream: str, holder: str) -> None:
        """Let go what `hold` held; an unknown holder is ignored."""
        self._media.release(stream, holder)

    async def still(self, stream: str, *, newer_than: float | None = None, timeout_s: float = 3.0) -> Still:
        """Return the newest decoded picture; raises NotFoundError where none comes in time."""
        return await self._media.still(stream, newer_than=newer_than, timeout_s=timeout_s)

    def why_not(self, stream: str) -> str | None:
        """Name the trouble that keeps a wanted stream away, None while there is none."""
        return self._media.trouble(stream)

    def live(self, stream: str) -> bool:
        """Tell whether packets of the stream arrive."""
        return self._media.state(stream) is StreamState.LIVE

    def play_pass(self, stream: str, holder: str, life: timedelta | None = None) -> "Pass":
        """Let `holder` view a stream."""
        return self._media.play_pass(stream, holder, life)

    def publish_pass(self, stream: str, holder: str, life: timedelta | None = None) -> "Pass":
        """Let `holder` publish a stream."""
        return self._media.publish_pass(stream, holder, life)

    def converse(self, key: str, voices: Sequence[str]) -> None:
        """Tell consoles from now on who of these speaks, until `part`."""
        self._media.floors.converse(key, voices)

    def part(self, key: str) -> None:
        """End what `converse` began; an unknown key is ignored."""
        self._media.floors.part(key)

    def keep_pulled(self, stream: str, whep_url: str, token: str) -> None:
        """Fetch a stream from another gateway, again and again, until `drop_pulled`."""
        self._media.keep_pulled(stream, whep_url, token)

    def drop_pulled(self, stream: str) -> None:
        """End what `keep_pulled` began."""
        self._media.drop_pulled(stream)
