"""How test peers reach an engine without HTTP: functions from offer to answer."""

from collections.abc import Awaitable, Callable

from gateway.ports.media import MediaEngine

Post = Callable[[str], Awaitable[str]]


def whip(engine: MediaEngine, stream: str) -> Post:
    """Publish to this stream."""

    async def post(offer: str) -> str:
        return (await engine.publish(stream, offer)).sdp

    return post


def whep(engine: MediaEngine, stream: str) -> Post:
    """View this stream."""

    async def post(offer: str) -> str:
        return (await engine.play(stream, offer)).sdp

    return post
