"""What the media room needs of others; `gateway.app` supplies it."""

from collections.abc import Sequence
from typing import Protocol

from pydantic import BaseModel

from protocols.command import Reply
from protocols.health import CameraHealth, LinkReason, LinkStatus


class KnownCamera(Protocol):
    """One camera of the subtree; `picture` is known for direct children only."""

    @property
    def stream(self) -> str: ...
    @property
    def centre(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def label(self) -> str | None: ...
    @property
    def owner(self) -> str: ...
    @property
    def picture(self) -> CameraHealth | None: ...


class KnownLink(Protocol):
    """The link of one node below."""

    @property
    def status(self) -> LinkStatus: ...
    @property
    def reason(self) -> LinkReason | None: ...


class Ways(Protocol):
    """The registry: cameras and the ways to them. Synchronous, from memory."""

    def next_hop(self, centre: str) -> str | None:
        """Return the direct child on the way to a centre, or None."""
        ...

    def hop_to(self, node: str) -> str | None:
        """Return the direct child on the way to a node, or None."""
        ...

    def owner(self, stream: str) -> str | None:
        """Return the node that announced a camera, or None."""
        ...

    def cameras(self) -> Sequence[KnownCamera]:
        """Return all cameras of the subtree."""
        ...

    def camera(self, stream: str) -> KnownCamera:
        """Return one camera; raises NotFoundError."""
        ...

    def link(self, node: str) -> KnownLink | None:
        """Return the link of a node, None where it was never heard of."""
        ...


class Commands(Protocol):
    """The links' way down."""

    async def ask(self, target: str, name: str, args: BaseModel, *, within_s: float) -> Reply:
        """Send and wait for the reply; `Outcome.EXPIRED` after the deadline. Raises LinkError."""
        ...
