"""WHIP (RFC 9725) and WHEP: the HTTP client that agent, gateway and bench use to publish to and to view at a gateway.

Only the host of the given URL is ever contacted: no proxies from the environment, no redirects, and a session address
(`Location`) on another origin is refused.
"""

import json
import logging
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin, urlsplit

from protocols.errors import LinkError, RefusedError
from protocols.snapshot import KIND, Snapshot, headers_of

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)
CONNECT_S = 2.5
"""A lost SYN is sent again after 1 s, then after 3: beginning anew is sooner than waiting for that."""
MAX_ANSWER = 256 * 1024
"""Longest SDP or problem body that is read, in bytes."""


@dataclass(frozen=True, slots=True)
class WhipAnswer:
    """Answer to the offer: `sdp`, and the session's address and ICE tag (`etag` is None if the server gave none)."""

    sdp: str
    location: str
    etag: str | None


class WhipClient:
    """Publishes one stream: `offer`, then any number of `patch`, then `delete`.

    Raises RefusedError where the far end says no (4xx; `reason` is its problem code or `http_<status>`) and LinkError
    where it cannot be reached, does not answer within `timeout_s`, or fails itself (5xx). Cancelling is safe; a session
    that the far end made meanwhile runs out there by itself. One client serves one session.
    """

    def __init__(
        self, url: str, token: str, *, timeout_s: float = 5.0, verify: ssl.SSLContext | bool | None = None
    ) -> None:
        """Name the endpoint and its bearer token; `verify` is the TLS context (or False) for https, default the CAs."""
        self.url = url
        self._token = token
        self._timeout_s = timeout_s
        self._verify: ssl.SSLContext | bool = (urlsplit(url).scheme == "https") if verify is None else verify
        self._http: httpx.AsyncClient | None = None
        self._etag: str | None = None
        self.location: str | None = None

    async def __aenter__(self) -> Self:
        """Use as a context to close the connection at the end; the session itself is ended by `delete` only."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def offer(self, sdp: str) -> WhipAnswer:
        """Send the offer and return the answer (201). Raises LinkError, RefusedError."""
        response, body = await self._send("POST", self.url, sdp, "application/sdp")
        if response.status_code != 201:
            raise RefusedError(f"{self.url} answered {response.status_code} instead of 201", "not_whip")
        self.location = self._own(response.headers.get("location"))
        self._etag = response.headers.get("etag")
        return WhipAnswer(body, self.location, self._etag)

    async def patch(self, fragment: str, *, restart: bool = False) -> str | None:
        """Send a trickle-ice-sdpfrag; returns the answer's fragment after an ICE restart, else None.

        Raises LinkError, RefusedError (`http_405` where the server takes no trickle, `http_412` on a stale tag).
        """
        if self.location is None:
            raise AssertionError("patch comes after offer")
        tag = "*" if restart else self._etag
        headers = {"if-match": tag} if tag else {}
        response, body = await self._send(
            "PATCH", self.location, fragment, "application/trickle-ice-sdpfrag", headers=headers
        )
        self._etag = response.headers.get("etag", self._etag)
        return body if response.status_code == 200 else None

    async def delete(self) -> None:
        """End the session. A session that the far end has forgotten (404, 410) counts as ended. Raises LinkError."""
        if self.location is None:
            return
        location, self.location = self.location, None
        try:
            await self._send("DELETE", location)
        except RefusedError as error:
            if error.reason not in {"not_found", "expired", "http_404", "http_410"}:
                raise

    async def post_snapshot(self, snapshot: Snapshot) -> None:
        """Show one picture in place of the stream (see `protocols.snapshot`). Raises LinkError, RefusedError."""
        await self._send("PUT", f"{self.url}/snapshot", snapshot.jpeg, KIND, headers=headers_of(snapshot))

    async def hang_up(self) -> None:
        """End the session and close the connection; a far end that cannot be reached forgets the session by itself."""
        try:
            await self.delete()
        except LinkError as error:
            logger.info("far media session not ended", extra={"url": self.url, "reason": str(error)})
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Close the HTTP connection; the session at the far end stays."""
        if self._http is not None:
            http, self._http = self._http, None
            await http.aclose()

    async def _send(
        self,
        method: str,
        url: str,
        body: str | bytes = "",
        kind: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple["httpx.Response", str]:
        import httpx

        if self._http is None:
            self._http = httpx.AsyncClient(
                trust_env=False,
                follow_redirects=False,
                timeout=httpx.Timeout(self._timeout_s, connect=min(self._timeout_s, CONNECT_S)),
                verify=self._verify,
            )
        head = {"authorization": f"Bearer {self._token}", **(headers or {})}
        if kind is not None:
            head["content-type"] = kind
        content = body.encode() if isinstance(body, str) else body
        try:
            async with self._http.stream(method, url, content=content, headers=head) as response:
                text = await _read(response)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeDecodeError) as error:
            raise LinkError(f"{method} {url}: {error or type(error).__name__}") from error
        self._judge(method, url, response.status_code, text)
        return response, text

    @staticmethod
    def _judge(method: str, url: str, status: int, text: str) -> None:
        if 200 <= status < 300:
            return
        code, detail = _problem(text)
        sentence = f"{method} {url} answered {status} {detail}".rstrip()
        if status >= 500:
            raise LinkError(sentence)
        raise RefusedError(sentence, code or f"http_{status}")

    def _own(self, location: str | None) -> str:
        if not location:
            raise RefusedError(f"{self.url} gave no Location", "not_whip")
        full = urljoin(self.url, location)
        if urlsplit(full)[:2] != urlsplit(self.url)[:2]:
            raise RefusedError(f"{self.url} points to another host: {full}", "foreign_location")
        return full


class WhepClient(WhipClient):
    """Views one stream; the same requests as WHIP with an offer that receives (draft-ietf-wish-whep)."""


async def _read(response: "httpx.Response") -> str:
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > MAX_ANSWER:
            raise LinkError(f"{response.url} answered more than {MAX_ANSWER} bytes")
        parts.append(part)
    return b"".join(parts).decode()


def _problem(text: str) -> tuple[str | None, str]:
    """Return code and detail of a problem+json body, if it is one (RFC 9457)."""
    try:
        document: Any = json.loads(text)
    except ValueError:
        return None, ""
    if not isinstance(document, dict):
        return None, ""
    code, detail = document.get("code"), document.get("detail")
    return (code if isinstance(code, str) else None), (detail if isinstance(detail, str) else "")
