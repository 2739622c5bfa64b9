"""Client of Janus' HTTP interface: sessions kept alive by a long poll, handles of plugins, the admin interface.

::

    async with JanusClient("http://127.0.0.1:8088/janus") as janus:
        print((await janus.info()).version)
        async with janus.session() as session:
            handle = await session.attach("janus.plugin.videoroom")
            event = await handle.ask({"request": "join", ...}, offer)

Errors: LinkError where Janus cannot be reached, does not answer in time or forgot the session; RefusedError with reason
`janus_<code>` where it says no; NotFoundError for sessions, handles, rooms and feeds that it does not know. Only the
host of the given URL is contacted: no proxies from the environment, no redirects.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from protocols.aio.tasks import Supervisor
from protocols.errors import LinkError, NotFoundError, RefusedError

Document = dict[str, Any]
POLL_S = 30.0
"""Janus answers a long poll after this long at the latest, with a keep-alive."""
MAX_EVENTS = 1024
"""Events of one handle that nobody has asked for; the oldest is forgotten beyond."""
NOT_FOUND = frozenset({426, 428, 458, 459})
"""No such room, no such feed, no such session, no such handle."""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What runs there. `libraries` names what it was built with, e.g. libsrtp: "libsrtp2 2.5.0"."""

    version: str
    libraries: Mapping[str, str]
    plugins: tuple[str, ...]
    event_loops: int


@dataclass(frozen=True, slots=True)
class Event:
    """What a plugin told: its data, and an SDP with its type (offer or answer) where there is one."""

    data: Document
    sdp: str | None = None
    sdp_type: str | None = None
    name: str = "event"  # or webrtcup, media, slowlink, hangup, detached


class JanusClient:
    """One Janus. `secret` is its api_secret, `admin_url` and `admin_secret` open the admin interface where wanted."""

    def __init__(
        self, url: str, *, secret: str = "", admin_url: str = "", admin_secret: str = "", timeout_s: float = 10.0
    ) -> None:
        self.url = url.rstrip("/")
        self._secret = secret
        self._admin_url, self._admin_secret = admin_url.rstrip("/"), admin_secret
        self._http = httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(timeout_s, read=POLL_S + timeout_s),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def info(self) -> ServerInfo:
        """Ask what runs there."""
        found = await self.send("GET", f"{self.url}/info")
        libraries = found.get("dependencies")
        return ServerInfo(
            str(found.get("version_string", "")),
            {str(k): str(v) for k, v in libraries.items()} if isinstance(libraries, dict) else {},
            tuple(sorted(found.get("plugins", {}))),
            int(found.get("static-event-loops") or found.get("event_loops") or 0),
        )

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator["JanusSession"]:
        """Make a session; it is kept alive until the context ends, and its handles end with it."""
        made = await self.post(self.url, {"janus": "create"})
        session = JanusSession(self, f"{self.url}/{made['data']['id']}")
        try:
            session.start()
            yield session
        finally:
            await session.close()

    async def handle_info(self, session: "JanusSession", handle: "JanusHandle") -> Document:
        """Ask the admin interface about a handle: ICE, DTLS (`dtls.srtp-profile`), counters per stream."""
        if not self._admin_url:
            raise RefusedError("the admin interface of Janus is not configured", "janus_no_admin")
        url = f"{self._admin_url}/{session.number}/{handle.number}"
        found = await self.post(url, {"janus": "handle_info", "admin_secret": self._admin_secret})
        info = found.get("info")
        return info if isinstance(info, dict) else {}

    async def post(self, url: str, body: Document) -> Document:
        """Send a request with a transaction of its own unless it has one."""
        told: Document = {"transaction": secrets.token_hex(8), **body}
        if self._secret:
            told["apisecret"] = self._secret
        return await self.send("POST", url, told)

    async def send(self, method: str, url: str, body: Document | None = None) -> Document:
        """Send a request and return the JSON object of the answer; raises as the module says."""
        try:
            response = await self._http.request(method, url, json=body)
            document = response.json()
        except httpx.HTTPError as error:
            raise LinkError(f"Janus at {self.url} does not answer: {error or type(error).__name__}") from error
        except ValueError as error:
            raise LinkError(f"{self.url} does not speak as Janus does") from error
        if not isinstance(document, dict):
            raise LinkError(f"{self.url} does not speak as Janus does")
        if document.get("janus") == "error":
            raise _refusal(document.get("error", {}).get("code", 0), document.get("error", {}).get("reason", ""))
        return document

    async def poll(self, url: str) -> list[Document]:
        """Wait for events of a session; an empty list after `POLL_S`."""
        query = f"?maxev=50&apisecret={self._secret}" if self._secret else "?maxev=50"
        try:
            response = await self._http.get(url + query)
            found = response.json()
        except httpx.HTTPError as error:
            raise LinkError(f"Janus at {self.url} does not answer: {error or type(error).__name__}") from error
        except ValueError as error:
            raise LinkError(f"{self.url} does not speak as Janus does") from error
        return [event for event in (found if isinstance(found, list) else [found]) if isinstance(event, dict)]


class JanusSession:
    """Made by `JanusClient.session`. When Janus has forgotten it, `lost` is set and every waiting call fails."""

    def __init__(self, client: JanusClient, url: str) -> None:
        self.client, self.url = client, url
        self.number = url.rpartition("/")[2]
        self.lost = asyncio.Event()
        self.strangers = 0  # events of handles that are gone
        self._handles: dict[int, JanusHandle] = {}
        self._tasks = Supervisor("janus session")

    def start(self) -> None:
        """Begin the long poll."""
        self._tasks.start("poll", self._poll, restart=False)

    async def _poll(self) -> None:
        failures = 0
        while failures < 3:
            try:
                for event in await self.client.poll(self.url):
                    self._take(event)
                failures = 0
            except LinkError:
                failures += 1
                await asyncio.sleep(0.2)
            if self.lost.is_set():
                break
        self._fail()

    def _take(self, event: Document) -> None:
        if event.get("janus") == "timeout" or event.get("error", {}).get("code") == 458:
            self.lost.set()
            return
        if event.get("janus") == "keepalive":
            return
        handle = self._handles.get(int(event.get("sender") or 0))
        if handle is None:
            self.strangers += 1
        else:
            handle.take(event)

    def _fail(self) -> None:
        self.lost.set()
        for handle in self._handles.values():
            handle.fail(LinkError("the session with Janus is lost; begin a new one"))

    async def attach(self, plugin: str) -> "JanusHandle":
        """Make a handle of a plugin."""
        made = await self.client.post(self.url, {"janus": "attach", "plugin": plugin})
        handle = JanusHandle(self, int(made["data"]["id"]))
        self._handles[handle.number] = handle
        return handle

    def forget(self, handle: "JanusHandle") -> None:
        """Pass nothing on to this handle any more."""
        self._handles.pop(handle.number, None)

    async def close(self) -> None:
        """End the session and its handles; a Janus that is gone is no error."""
        await self._tasks.stop()
        if not self.lost.is_set():
            with contextlib.suppress(LinkError, NotFoundError):
                await self.client.post(self.url, {"janus": "destroy"})
        self._fail()


@dataclass(eq=False)
class JanusHandle:
    """One plugin handle: at most one peer connection. `events` holds what came unasked."""

    session: JanusSession
    number: int
    events: asyncio.Queue[Event] = field(default_factory=lambda: asyncio.Queue(MAX_EVENTS))
    _waiting: dict[str, asyncio.Future[Event]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where its requests go."""
        return f"{self.session.url}/{self.number}"

    async def ask(
        self, body: Document, sdp: str | None = None, sdp_type: str = "offer", *, within_s: float = 10.0
    ) -> Event:
        """Send a message to the plugin and return its answer, whether it comes at once or as an event."""
        transaction = secrets.token_hex(8)
        told: Document = {"janus": "message", "transaction": transaction, "body": body}
        if sdp is not None:
            told["jsep"] = {"type": sdp_type, "sdp": sdp}
        waiting: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = waiting
        try:
            answer = await self.session.client.post(self.url, told)
            if answer.get("janus") == "success":
                return _event(answer)
            async with asyncio.timeout(within_s):
                return await waiting
        except TimeoutError as error:
            raise LinkError(f"Janus has not answered {body.get('request')!r} within {within_s:g} s") from error
        finally:
            self._waiting.pop(transaction, None)

    async def trickle(self, candidate: Document | None) -> None:
        """Give one candidate of ours, or None for the end of them."""
        told = candidate if candidate is not None else {"completed": True}
        await self.session.client.post(self.url, {"janus": "trickle", "candidate": told})

    async def hang_up(self) -> None:
        """Close the peer connection and keep the handle."""
        await self.session.client.post(self.url, {"janus": "hangup"})

    async def detach(self) -> None:
        """End the handle; one that Janus has forgotten counts as ended."""
        self.session.forget(self)
        with contextlib.suppress(NotFoundError):
            await self.session.client.post(self.url, {"janus": "detach"})

    def take(self, document: Document) -> None:
        """Take an event from the session."""
        waiting = self._waiting.get(str(document.get("transaction", "")))
        try:
            event = _event(document)
        except (LinkError, NotFoundError) as error:
            if waiting is not None and not waiting.done():
                waiting.set_exception(error)
            return
        if waiting is not None and not waiting.done():
            waiting.set_result(event)
            return
        if self.events.full():
            self.events.get_nowait()
        self.events.put_nowait(event)

    def fail(self, error: LinkError) -> None:
        """Let everybody who waits know that nothing will come."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)


def _event(document: Document) -> Event:
    data = document.get("plugindata", {}).get("data", {})
    if "error_code" in data:
        raise _refusal(data["error_code"], str(data.get("error", "")))
    jsep = document.get("jsep", {})
    return Event(data, jsep.get("sdp"), jsep.get("type"), str(document.get("janus", "event")))


def _refusal(code: int, reason: str) -> LinkError | NotFoundError:
    if code in NOT_FOUND:
        return NotFoundError(f"Janus: {reason or 'not found'}")
    return RefusedError(f"Janus refused: {reason or 'no reason given'}", f"janus_{code}")
