"""What people and programs without an account reach: the page behind a confirmation link, and the Atom feed.

The feed and its documents ask for a login unless `warning.public_feed` is set; drills stand in neither for those who
have none.
"""

import hashlib
import html
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from gateway.warning import phrases
from gateway.warning.api import cap_answer
from gateway.warning.calls import Calls
from gateway.warning.desk import WarningDesk, feed_of
from gateway.warning.links import DOOR
from gateway.warning.needs import WarningNeeds
from gateway.warning.rows import find
from gateway.web.auth import Caller, current_caller
from protocols.errors import NotAuthenticatedError, NotFoundError, WrongMomentError


def public_routes(needs: WarningNeeds, calls: Calls, desk: WarningDesk) -> APIRouter:
    """Return the routes outside /api."""
    api = APIRouter(tags=["warnings"])
    _confirming(api, needs, calls)
    _feed(api, needs, desk)
    return api


def _confirming(api: APIRouter, needs: WarningNeeds, calls: Calls) -> None:
    async def page(token: str) -> HTMLResponse:
        try:
            link, row = calls.links.read(token), await calls.by_link(token)
        except NotFoundError:
            return _html(phrases.PAGE_BAD, 404)
        async with needs.store.reading() as reader:
            warning = await find(reader, row.warning_id)
        person = (row.neighbour or {"name": ""})["name"] if link.step == DOOR else row.chain[link.step]["name"]
        said = {
            "mark": phrases.mark(drill=warning.drill),
            "headline": warning.headline,
            "target": row.target,
            "person": person,
            "instruction": warning.content.get("instruction", ""),
            "by": row.confirmed_by or "",
            "at": phrases.clock(row.confirmed_at),
        }
        form = (
            phrases.PAGE_DONE if row.confirmed_at else phrases.PAGE_OVER if row.phase == "ended" else phrases.PAGE_ASK
        )
        return _html(form.format(**{name: html.escape(text) for name, text in said.items()}), 200)

    @api.get("/confirm/{token}", response_class=HTMLResponse, include_in_schema=False)
    async def ask(token: str) -> HTMLResponse:
        """Show what is to be confirmed; looking at it confirms nothing."""
        return await page(token)

    @api.post("/confirm/{token}", response_class=HTMLResponse, include_in_schema=False)
    async def confirm(token: str) -> HTMLResponse:
        """Take the confirmation."""
        try:
            await calls.confirm_by_link(token)
        except (NotFoundError, WrongMomentError):
            needs.metrics.count("call_confirm_links_refused_total")
        return await page(token)


def _html(body: str, status: int) -> HTMLResponse:
    return HTMLResponse(phrases.PAGE.format(body=body), status, {"Cache-Control": "no-store"})


def _feed(api: APIRouter, needs: WarningNeeds, desk: WarningDesk) -> None:
    async def reader_of(request: Request) -> Caller | None:
        try:
            return await current_caller(request)
        except NotAuthenticatedError:
            if needs.settings.public_feed:
                return None
            raise

    Known = Annotated[Caller | None, Depends(reader_of)]  # noqa: N806 - a type, made of the settings

    @api.get("/feeds/warnings.atom", response_class=Response)
    async def feed(request: Request, reader: Known) -> Response:
        """Return the Atom feed of own warnings; answers 304 where nothing changed."""
        published = await desk.published(drills=reader is not None)
        own = needs.area.table[needs.area.code].name
        body = feed_of(published, needs.base_url(), f"{own}预警", needs.clock.now())
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(None, 304, headers)
        return Response(body, 200, headers, media_type="application/atom+xml; charset=utf-8")

    @api.get("/feeds/warnings/{identifier}.xml", response_class=Response)
    async def document(identifier: str, reader: Known) -> Response:
        """Return the CAP document of a published warning."""
        return cap_answer(await desk.published_one(identifier, drills=reader is not None))
