"""HTTP of the media room: WHIP (RFC 9725) and WHEP endpoints.

The endpoints take any WHIP or WHEP client from any page (CORS): the bearer token in the request is the only right,
cookies are never read there.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from typing_extensions import override

from gateway.media.cameras_api import publisher_routes
from gateway.media.cameras_api import routes as camera_routes
from gateway.media.ice_servers import IceServer, link_headers
from gateway.media.service import MediaService, Session
from gateway.media.snapshot_api import posting
from gateway.ports.media import SessionAnswer
from gateway.web.media_tokens import MediaDirection
from gateway.web.problems import of_error, problem
from protocols.errors import LinkError, SilianError, TooLargeError, UnreadableMediaError, WrongMomentError
from protocols.ids import stream_of

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
SDP_LIMIT = 256 * 1024
"""Longest offer or fragment in bytes; a browser's offer with many codecs has about 8 KiB."""
RETRY_AFTER_S = "2"
"""A media worker that died is back by then."""
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Location, ETag, Accept-Patch, Accept-Post, Link, Retry-After",
}
PREFLIGHT = {
    **CORS,
    "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "3600",
    "Accept-Post": SDP,
}


class MediaRoute(APIRoute):
    """A route whose errors carry the CORS headers too: a foreign page must be able to read why."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_with_cors(request: Request) -> Response:
            try:
                response = await handle(request)
            except SilianError as error:
                response = of_error(request, error)
                if isinstance(error, LinkError):  # the media worker is being restarted
                    response.status_code = 503
                    response.headers["Retry-After"] = RETRY_AFTER_S
            response.headers.update(CORS)
            return response

        return handle_with_cors


def routes(service: MediaService, ice_servers: Sequence[IceServer] = ()) -> APIRouter:
    """Return all routes of the room. Every new session is told of the `ice_servers`."""
    router = APIRouter()

    def told(session_id: str) -> list[str]:
        return link_headers(ice_servers, session_id, service.now())

    router.include_router(posting(service.snapshots, MediaRoute, bearer))  # before sessions: their names are ids
    router.include_router(_endpoint(service, "/whip", MediaDirection.PUBLISH, service.publish_offer, told))
    router.include_router(_endpoint(service, "/whep", MediaDirection.PLAY, service.play_offer, told))
    router.include_router(camera_routes(service))
    router.include_router(publisher_routes(service))
    return router


Offer = Callable[[str, str | None, str, str | None], Coroutine[Any, Any, SessionAnswer]]
Links = Callable[[str], list[str]]


def _endpoint(service: MediaService, prefix: str, direction: MediaDirection, offer: Offer, links: Links) -> APIRouter:
    router = APIRouter(prefix=prefix, route_class=MediaRoute, tags=["media"])
    name = prefix.removeprefix("/")

    @router.options("/{centre}/{camera}", operation_id=f"{name}_options")
    @router.options("/{centre}/{camera}/{session_id}", operation_id=f"{name}_session_options")
    async def options() -> Response:
        return Response(status_code=204, headers=PREFLIGHT)

    @router.api_route("/{centre}/{camera}", methods=["GET", "HEAD", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    async def not_taken(request: Request) -> Response:
        return problem(request, "method_not_allowed", 405, headers={"Allow": "POST, OPTIONS"})

    @router.api_route(
        "/{centre}/{camera}/{session_id}", methods=["GET", "HEAD", "PUT", "POST"], include_in_schema=False
    )
    async def not_taken_by_a_session(request: Request) -> Response:
        return problem(request, "method_not_allowed", 405, headers={"Allow": "PATCH, DELETE, OPTIONS"})

    @router.post("/{centre}/{camera}", status_code=201, operation_id=f"{name}_offer", response_class=Response)
    async def post(request: Request, centre: str, camera: str) -> Response:
        stream = stream_of(centre, camera)
        if content_kind(request) != SDP:
            return problem(request, "unsupported_type", 415, info=f"send the offer as {SDP}")
        if not accepts(request, SDP):
            return problem(request, "not_acceptable", 406, info=f"the answer is {SDP}; accept it")
        service.clicked(stream, request.headers.get("traceparent"))
        answer = await offer(stream, bearer(request), await text_of(request), client_of(request))
        return created(f"{prefix}/{stream}/{answer.session_id}", answer, links(answer.session_id))

    @router.patch("/{centre}/{camera}/{session_id}", operation_id=f"{name}_trickle", response_class=Response)
    async def patch(request: Request, centre: str, camera: str, session_id: str) -> Response:
        return await _patch(request, service, direction, stream_of(centre, camera), session_id)

    @router.delete("/{centre}/{camera}/{session_id}", operation_id=f"{name}_end", response_class=Response)
    async def delete(request: Request, centre: str, camera: str, session_id: str) -> Response:
        session = service.session(direction, stream_of(centre, camera), session_id, bearer(request))
        await service.hang_up(session)
        return Response(status_code=200)

    return router


def created(location: str, answer: SessionAnswer, links: Sequence[str] = ()) -> Response:
    """Return the answer to an offer; `links` are `Link` headers."""
    headers = {"Location": location, "ETag": f'"{answer.etag}"', "Accept-Patch": FRAGMENT}
    response = Response(answer.sdp, 201, headers, media_type=SDP)
    for link in links:
        response.headers.append("Link", link)
    return response


async def _patch(
    request: Request, service: MediaService, direction: MediaDirection, stream: str, session_id: str
) -> Response:
    session = service.session(direction, stream, session_id, bearer(request))
    if content_kind(request) != FRAGMENT:
        return problem(request, "unsupported_type", 415, info=f"send the fragment as {FRAGMENT}")
    return await trickled(request, service, session)


async def trickled(request: Request, service: MediaService, session: Session) -> Response:
    """RFC 9725 section 4.3: 428 no If-Match, 412 stale tag, 204 trickle, 200 ICE restart."""
    tag = request.headers.get("if-match", "").strip()
    if not tag:
        return problem(request, "precondition_required", 428, info="name the ICE session: If-Match")
    try:
        answer = await service.trickle(session, await text_of(request), tag.strip('"'))
    except WrongMomentError as error:
        return problem(request, "precondition_failed", 412, info=str(error))
    headers = {"ETag": f'"{answer.etag}"'}
    if answer.sdp_fragment is None:
        return Response(status_code=204, headers=headers)
    return Response(answer.sdp_fragment, 200, headers, media_type=FRAGMENT)


def content_kind(request: Request) -> str:
    """Return the media type of a request's body."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def accepts(request: Request, kind: str) -> bool:
    """Tell whether the Accept header, if there is one, takes this type (RFC 9110 section 12.5.1)."""
    ranges = [part.partition(";") for part in request.headers.get("accept", "").lower().split(",") if part.strip()]
    main = kind.partition("/")[0]
    taken = [
        parameters.replace(" ", "").rstrip("0.") != "q="
        for wanted, _, parameters in ranges
        if wanted.strip() in {kind, f"{main}/*", "*/*"}
    ]
    return any(taken) or not ranges


def client_of(request: Request) -> str | None:
    """Return the address that a request came from, as a trusted proxy or the connection says."""
    return request.client.host if request.client is not None else None


def bearer(request: Request) -> str | None:
    """Return the bearer token of a request."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


async def text_of(request: Request) -> str:
    """Read a session description; raises TooLargeError, BadMediaError."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > SDP_LIMIT:
            raise TooLargeError(f"the session description is longer than {SDP_LIMIT} bytes")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise UnreadableMediaError("the session description is not UTF-8 text") from None
    if not text.strip():
        raise UnreadableMediaError("the session description is empty; send an offer")
    return text
