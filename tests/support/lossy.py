"""Peers behind bad lines: `gateway.bench.impair` between a WHIP or WHEP peer and the worker."""

from gateway.bench.impair import BadLine, Impairment
from tests.support.posts import Post


def over(post: Post, line: BadLine) -> Post:
    """Post an offer, and have the answer lead through the line."""

    async def posted(offer: str) -> str:
        return line.through(await post(offer))

    return posted


def bad(loss: float, jitter_s: float) -> Impairment:
    """Return one direction that loses, and half as often doubles and reorders."""
    return Impairment(loss=loss, jitter_s=jitter_s, delay_s=0.01, reordered=loss / 2, doubled=loss / 2)
