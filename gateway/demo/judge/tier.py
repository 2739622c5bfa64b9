"""One tier as the public API shows it. Reads only; nothing here knows how a gateway is built."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Self

from gateway.demo.judge.ledger import Seen

if TYPE_CHECKING:
    import httpx

PAGE = 500


class Tier:
    """The API of one gateway, as one user sees it. Use as a context."""

    def __init__(self, code: str, url: str, username: str, password: str) -> None:
        self.code = code
        self.url = url.rstrip("/")
        self._login = {"username": username, "password": password}
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        """Open the connection; the login follows with the first request."""
        import httpx

        self._http = httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=10.0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def call(self, method: str, path: str, body: Any = None, *, kind: str = "json") -> "httpx.Response":
        """Send one request, logged in; a body of bytes goes as `kind`. Raises httpx.HTTPError for all but success."""
        answer = await self._send(method, path, body, kind)
        if answer.status_code == 401:
            await self._log_in()
            answer = await self._send(method, path, body, kind)
        return answer.raise_for_status()

    async def _send(self, method: str, path: str, body: Any, kind: str) -> "httpx.Response":
        http = self._client()
        if "authorization" not in http.headers:
            await self._log_in()
        if isinstance(body, bytes):
            return await http.request(method, path, content=body, headers={"content-type": kind})
        return await http.request(method, path, json=body)

    async def get(self, path: str) -> Any:
        """Return the JSON of a GET."""
        return (await self.call("GET", path)).json()

    async def items(self, path: str) -> list[Any]:
        """Return all items of a list, whether it comes bare or in an object."""
        body = await self.get(path)
        return list(body["items"]) if isinstance(body, dict) else list(body)

    async def pages(self, path: str, after: str | None, name: str) -> AsyncIterator[tuple[list[Any], str | None]]:
        """Yield the pages of a long list with the cursor behind each; `name` is the cursor's parameter."""
        while True:
            cursor = f"&{name}={after}" if after else ""
            body = await self.get(f"{path}{'&' if '?' in path else '?'}limit={PAGE}{cursor}")
            # The last page has no `next`; the log goes on behind its last item.
            after = body["next"] or (str(body["items"][-1].get("number", "")) if body["items"] else after)
            yield body["items"], after
            if not body["items"] or body["next"] is None:
                return

    async def log_since(self, after: str | None) -> tuple[list[Seen], str | None]:
        """Return the events of the log behind the cursor, and the new cursor."""
        seen: list[Seen] = []
        async for items, behind in self.pages("/api/v1/alarms/events", after, "after"):
            seen.extend(Seen.read(item) for item in items)
            after = behind
        return seen, after

    async def conditions(self) -> dict[tuple[str, str], str]:
        """Return the condition of every alarm by (source, alarm key); an alarm shown twice is kept as `twice`."""
        found: dict[tuple[str, str], str] = {}
        async for items, _ in self.pages("/api/v1/alarms?condition=all", None, "cursor"):
            for item in items:
                key = item["source"], item["alarm_key"]
                found[key] = "twice" if key in found else item["condition"]
        return found

    async def links(self) -> dict[str, dict[str, Any]]:
        """Return the links below this gateway by node."""
        return {link["node"]: link for link in await self.items("/api/v1/links") if "node" in link}

    async def _log_in(self) -> None:
        answer = await self._client().post("/api/v1/session", json=self._login)
        answer.raise_for_status()
        self._client().headers["authorization"] = f"Bearer {answer.json()['token']}"

    def _client(self) -> "httpx.AsyncClient":
        if self._http is None:
            raise AssertionError("a tier is used inside its context")
        return self._http


async def until(ask: Callable[[], Awaitable[Any]], limit_s: float, pause_s: float = 0.25) -> tuple[Any, float]:
    """Ask until the answer is true; return it with the seconds it took, or the last answer when the limit is over.

    A tier that cannot be reached counts as "not yet": gateways are killed on purpose.
    """
    import httpx

    started = time.monotonic()
    answer: Any = None
    while time.monotonic() - started < limit_s:
        try:
            answer = await ask()
        except (httpx.HTTPError, KeyError, TypeError, ValueError):
            answer = None
        if answer:
            break
        await asyncio.sleep(pause_s)
    return answer, time.monotonic() - started
