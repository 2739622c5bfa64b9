"""The engine of another replica as the one that leads uses it: calls of the `media` port over HTTP."""

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

from gateway.adapters.media_embedded import moment
from gateway.adapters.media_spread import wire
from gateway.ports.media import Capability, EngineStats, Layer, MediaEvent, SessionAnswer, Slot, Still, TrickleAnswer
from gateway.ports.media_spread import Place
from protocols.errors import BadSchemaError, LinkError

if TYPE_CHECKING:
    import httpx

CONNECT_S = 3.0
CALL_S = 8.0
DIAL_S = 25.0
"""A call that itself dials: an offer to another gateway and the handshakes after it."""


class FarEngine:
    """Calls of `MediaEngine` that are carried out at another replica. Use it with `async with`.

    Errors are those of the port; a replica that cannot be reached is LinkError.
    """

    def __init__(
        self, place: Place, *, controller: str, name: str, secret: str, trust: Callable[[], ssl.SSLContext]
    ) -> None:
        """Take `controller`, which is never used again, and `name`, which the other one notes in its log."""
        self.place = place
        self._headers = {"Authorization": f"Bearer {secret}", wire.CONTROLLER: controller, "x-silian-name": name}
        self._trust = trust
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> "FarEngine":
        import httpx

        self._client = httpx.AsyncClient(
            base_url=self.place.url,
            headers=self._headers,
            verify=self._trust(),
            timeout=httpx.Timeout(wire.SILENT_S, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
            trust_env=False,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._client is not None:
            await self._client.aclose()

    def _http(self) -> "httpx.AsyncClient":
        if self._client is None:
            raise AssertionError("a far engine is used inside `async with`")
        return self._client

    async def line(self) -> AsyncIterator[frozenset[Capability] | MediaEvent]:
        """Take the engine over; yields what it can do, then its events. Raises LinkError where it breaks."""
        import httpx

        whom = {wire.REPLICA: self.place.id}
        try:
            async with self._http().stream("GET", f"{wire.PREFIX}/line", headers=whom) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise LinkError(f"{self.place.url} answered {answer.status_code}")
                first = True
                async for text in answer.aiter_lines():
                    if first:
                        first = False
                        yield wire.read_hello(text)
                    elif text and (event := wire.read_event(text)) is not None:
                        yield event
        except (httpx.HTTPError, BadSchemaError) as error:
            raise LinkError(f"{self.place.url}: {error or type(error).__name__}") from error
        raise LinkError(f"{self.place.url} ended the line")

    async def _call(self, call: str, within_s: float = CALL_S, /, **arguments: object) -> Any:
        import httpx

        timeout = httpx.Timeout(within_s, connect=CONNECT_S)
        try:
            answer = await self._http().post(f"{wire.PREFIX}/do/{call}", content=wire.pack(arguments), timeout=timeout)
            if answer.status_code != httpx.codes.OK:
                raise wire.read_error(answer.content)
            return wire.read_result(call, answer.content)
        except (httpx.HTTPError, BadSchemaError) as error:
            raise LinkError(f"{self.place.url} {call}: {error or type(error).__name__}") from error

    async def publish(self, stream: str, offer: str, *, client: str | None = None) -> SessionAnswer:
        """See the port."""
        answer: SessionAnswer = await self._call("publish", stream=stream, offer=offer, client=client)
        return answer

    async def play(self, stream: str, offer: str, *, client: str | None = None) -> SessionAnswer:
        """See the port."""
        answer: SessionAnswer = await self._call("play", stream=stream, offer=offer, client=client)
        return answer

    async def wall(self, offer: str, *, client: str | None = None) -> SessionAnswer:
        """See the port."""
        answer: SessionAnswer = await self._call("wall", offer=offer, client=client)
        return answer

    async def assign(self, session_id: str, slots: Sequence[Slot]) -> None:
        """See the port."""
        await self._call("assign", session_id=session_id, slots=tuple(slots))

    async def trickle(self, session_id: str, fragment: str, etag: str | None) -> TrickleAnswer:
        """See the port."""
        answer: TrickleAnswer = await self._call("trickle", session_id=session_id, fragment=fragment, etag=etag)
        return answer

    async def end(self, session_id: str) -> None:
        """See the port."""
        await self._call("end", session_id=session_id)

    async def carry(self, session_id: str, layers: frozenset[Layer]) -> None:
        """See the port."""
        await self._call("carry", session_id=session_id, layers=layers)

    async def relay(self, stream: str, whip_url: str, token: str, *, near: bool = False) -> str:
        """See the port."""
        made: str = await self._call("relay", DIAL_S, stream=stream, whip_url=whip_url, token=token, near=near)
        return made

    async def pull(self, stream: str, whep_url: str, token: str) -> str:
        """See the port."""
        made: str = await self._call("pull", DIAL_S, stream=stream, whep_url=whep_url, token=token)
        return made

    async def still(
        self, stream: str, *, newer_than: float | None = None, timeout_s: float = 3.0, width: int = 0
    ) -> Still:
        """See the port. The times of the picture are those of this host."""
        age = None if newer_than is None else moment.now() - newer_than
        found: Still = await self._call(
            "still", timeout_s + CALL_S, stream=stream, newer_than=age, timeout_s=timeout_s, width=width
        )
        return wire.aged(found, moment.now())

    async def stats(self) -> EngineStats:
        """See the port."""
        found: EngineStats = await self._call("stats")
        return found
