"""HTTP of the answer page: who calls, what is answered, what the centre sees. Everything but the PIN's door needs it.

A browser of another site cannot answer: the cookie is `SameSite=Strict`, and bodies are JSON alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from edge_agent.calls import Calls
from edge_agent.cameras.preview import Preview
from edge_agent.problems import problem
from edge_agent.rollcall.desk import AnswerDesk
from edge_agent.rollcall.machine import Details, TurnKind
from edge_agent.rollcall.pin import STAYS_S, PinDoor
from protocols.aio.clock import Clock
from protocols.command import CallEnd
from protocols.envelope import first_fault
from protocols.errors import BadInputError, NotAuthenticatedError, NotFoundError, SilianError, TooLargeError

SCREEN = Path(__file__).parent / "screen"
FILES = frozenset({"page.css", "page.js", "words.js"})
WAIT_S = 3.0
"""Sound and link change without a word: a page learns of them within so much."""
BODY_BYTES = 8192
POLICY = "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Centre:
    """The way up, as far as this page needs it: whether it is open, and to say that this county ended a call."""

    linked: Callable[[], bool]
    hung_up: Callable[[CallEnd], Awaitable[None]]


class AnswerPage:
    """The routes of one box."""

    def __init__(
        self,
        desk: AnswerDesk,
        calls: Calls,
        door: PinDoor,
        clock: Clock,
        previews: Mapping[str, Preview],
        *,
        node: str,
        asks: bool,
        centre: Centre,
    ) -> None:
        """Prepare; `asks`: a person must answer."""
        self._desk = desk
        self._calls = calls
        self._door = door
        self._clock = clock
        self._previews = previews
        self._about = {"node": node, "centre": node[:6], "asks": asks}
        self._upper = centre
        self._cookie = f"silian_answer_{node}"

    def routes(self) -> list[Route]:
        """Return all routes."""
        return [
            Route("/", self._index),
            Route("/screen/{name}", self._file),
            Route("/session", _manners(self._sign_in), methods=["POST"]),
            Route("/state", self._inside(self._state)),
            Route("/still/{camera}", self._inside(self._still)),
            Route("/turns/{id}/answer", self._inside(self._answer), methods=["POST"]),
            Route("/turns/{id}/decline", self._inside(self._decline), methods=["POST"]),
            Route("/turns/{id}/end", self._inside(self._end), methods=["POST"]),
        ]

    async def _index(self, _: Request) -> Response:
        return FileResponse(SCREEN / "index.html", headers=_headers())

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in FILES:
            return problem(NotFoundError(f"no file {name}"))
        return FileResponse(SCREEN / name, headers=_headers())

    def _inside(self, handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            if not self._door.known(request.cookies.get(self._cookie)):
                raise NotAuthenticatedError("请输入 PIN；在本机运行 silian-agent answer-page 可查看 (PIN needed)")
            return await handler(request)

        return _manners(checked)

    async def _sign_in(self, request: Request) -> Response:
        cookie = self._door.open(str((await _body(request)).get("pin", "")))
        answer = JSONResponse({"node": self._about["node"]}, headers=_headers())
        answer.set_cookie(self._cookie, cookie, max_age=STAYS_S, httponly=True, samesite="strict")
        return answer

    async def _state(self, request: Request) -> Response:
        after = request.query_params.get("after", "")
        if after.isdecimal():
            await self._desk.changed(int(after), WAIT_S)
        turns = [turn.model_dump(mode="json") | {"open": turn.open} for turn in reversed(self._desk.turns.all)]
        talk = await asyncio.to_thread(self._calls.report)
        told: dict[str, Any] = {
            **self._about,
            "version": self._desk.version,
            "now": self._clock.now().isoformat(),
            "link": self._upper.linked(),
            "speaker": self._desk.ringer.speaker.trouble,
            "turns": turns,
            "talk": None if talk is None else {"call_id": talk["call_id"], "level": talk["level"]},
        }
        return JSONResponse(told, headers=_headers())

    async def _still(self, request: Request) -> Response:
        preview = self._previews.get(request.path_params["camera"])
        if preview is None:
            raise NotFoundError(f"no camera {request.path_params['camera']} here")
        return Response(await preview.jpeg(), media_type="image/jpeg", headers=_headers())

    async def _answer(self, request: Request) -> Response:
        try:
            details = Details.model_validate(await _body(request))
        except ValidationError as error:
            raise BadInputError(first_fault(error)) from None
        turn = await self._desk.answer(request.path_params["id"], details)
        return JSONResponse(turn.model_dump(mode="json"), headers=_headers())

    async def _decline(self, request: Request) -> Response:
        await _body(request)
        turn = self._desk.decline(request.path_params["id"])
        return JSONResponse(turn.model_dump(mode="json"), headers=_headers())

    async def _end(self, request: Request) -> Response:
        await _body(request)
        turn = self._desk.turns.get(request.path_params["id"])
        if turn.kind is TurnKind.CALL and turn.open:
            await self._calls.end(CallEnd(call_id=turn.id))
            await self._upper.hung_up(CallEnd(call_id=turn.id))
        else:
            self._desk.over(turn.id, "ended_here")
        return JSONResponse(self._desk.turns.get(turn.id).model_dump(mode="json"), headers=_headers())


def _manners(handler: Handler) -> Handler:
    """Turn errors of our tree into problem documents."""

    async def mannered(request: Request) -> Response:
        try:
            return await handler(request)
        except SilianError as error:
            return problem(error)

    return mannered


async def _body(request: Request) -> dict[str, Any]:
    """Return the JSON object that was sent; raises BadInputError, TooLargeError."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise BadInputError("send JSON with Content-Type: application/json")
    if int(request.headers.get("content-length") or BODY_BYTES + 1) > BODY_BYTES:
        raise TooLargeError(f"the body is over {BODY_BYTES} bytes, or does not say its length")
    try:
        body = await request.json()
    except ValueError:
        raise BadInputError("the body is not JSON") from None
    if not isinstance(body, dict):
        raise BadInputError("expected a JSON object")
    return body


def _headers() -> dict[str, str]:
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
