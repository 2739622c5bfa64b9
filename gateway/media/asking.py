"""Asks the next hop for a stream, and gives it back: `media.publish` and `media.unpublish` down the links."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from gateway.media.machine import LEASE_S, Trouble
from gateway.media.needs import MediaNeeds
from gateway.ports.media import Layer
from gateway.web.media_tokens import MediaDirection
from protocols.command import CommandName, HopTiming, MediaPublish, MediaPublished, MediaUnpublish, Outcome, Reply
from protocols.command import parse_args as read
from protocols.errors import BadSchemaError, LinkError, NotFoundError
from protocols.health import LinkStatus
from protocols.ids import split_stream
from protocols.sharing import shown_to

logger = logging.getLogger(__name__)
ASK_WITHIN_S = 10.0
"""Deadline of one `media.publish`: below the renewal, so that two never overlap."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of asking. `rests`: the hop keeps a session without media; `hops` are its times and those below."""

    trouble: Trouble | None = None
    rests: bool = False
    hops: tuple[HopTiming, ...] = ()


class Asker:
    """Knows the ways to streams, and whom they may be shown."""

    def __init__(
        self, needs: MediaNeeds, *, node: str, base_url: Callable[[], str], pulled: Callable[[str], bool]
    ) -> None:
        """Take `pulled`, which tells a stream that is fetched from another gateway."""
        self._node = node
        self._base_url = base_url
        self._pulled = pulled
        self._ways = needs.ways
        self._commands = needs.commands
        self._tokens = needs.tokens
        self._clock = needs.clock

    async def ask(self, stream: str, *, fresh: bool, layers: frozenset[Layer], trace: str | None = None) -> Answered:
        """Ask the next hop for layers of a stream for the time of a lease."""
        if self.is_own(stream):
            return Answered()
        hop = self.hop(stream)
        if hop is None:
            return Answered(Trouble.UNKNOWN)
        if self.hidden_from(stream, self._node):
            return Answered(Trouble.NOT_SHARED)
        if not self._open(hop) or not self._open(self._ways.owner(stream)):
            return Answered(Trouble.NO_LINK)
        now = self._clock.now()
        token, _ = self._tokens.mint(MediaDirection.PUBLISH, stream, holder=hop, now=now)
        args = MediaPublish(
            stream=stream,
            whip_url=f"{self._base_url()}/whip/{stream}",
            token=token,
            until=now + timedelta(seconds=LEASE_S),
            fresh=fresh,
            layers=tuple(layer.value for layer in sorted(layers)),
            trace=trace,
        )
        try:
            reply = await self._commands.ask(hop, CommandName.MEDIA_PUBLISH, args, within_s=ASK_WITHIN_S)
        except LinkError as error:
            logger.info("stream not asked for", extra={"stream": stream, "node": hop, "error": str(error)})
            return Answered(Trouble.NO_LINK)
        return _answered(reply)

    async def give_back(self, stream: str) -> None:
        """Tell the next hop that nobody wants a stream any more."""
        hop = None if self.is_own(stream) else self.hop(stream)
        if hop is None:
            return
        logger.info("stream given back", extra={"stream": stream, "node": hop})
        with suppress(LinkError):  # the lease ends by itself
            args = MediaUnpublish(stream=stream)
            await self._commands.ask(hop, CommandName.MEDIA_UNPUBLISH, args, within_s=ASK_WITHIN_S)

    def is_own(self, stream: str) -> bool:
        """Tell a stream that is published here directly: a console's side of a call, or a pulled one."""
        centre, _ = split_stream(stream)
        return self._ways.owner(stream) is None and (centre == self._node or self._pulled(stream))

    def hop(self, stream: str) -> str | None:
        """Return the direct child on the way to a stream."""
        owner = self._ways.owner(stream)
        if owner is not None:
            return self._ways.hop_to(owner)
        centre, _ = split_stream(stream)
        return None if centre == self._node else self._ways.next_hop(centre)

    def hidden_from(self, stream: str, node: str) -> bool:
        """Tell whether a camera's owner does not show it to the tier of `node`; an unknown tier is shown nothing."""
        try:
            share = self._ways.camera(stream).share
        except NotFoundError:
            return False
        tier = self._ways.tier(node)
        return tier is None or not shown_to(share, tier)

    def _open(self, node: str | None) -> bool:
        link = self._ways.link(node) if node is not None else None
        return link is None or link.status is LinkStatus.UP


def _answered(reply: Reply) -> Answered:
    if reply.outcome is Outcome.DONE:
        try:
            told = read(MediaPublished, reply.result)
        except BadSchemaError:  # the stream comes all the same
            return Answered()
        return Answered(None, told.rests, told.hops)
    if reply.outcome is Outcome.EXPIRED:
        return Answered(Trouble.NO_ANSWER)
    if reply.code in set(Trouble):
        return Answered(Trouble(reply.code))  # the gateway below names its own trouble
    return Answered(Trouble.REFUSED if reply.outcome is Outcome.REFUSED else Trouble.FAILED)
