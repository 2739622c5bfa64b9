"""HTTP of warnings: the list, writing with two persons, call-and-confirm with its live board and its record."""

import hashlib
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.ports.paper import MEDIA_TYPES
from gateway.warning.desk import WarningDesk, paper_of
from gateway.warning.rules.calling import Way
from gateway.warning.rules.targets import CallList
from gateway.warning.service import Warnings
from gateway.web.auth import EVERYBODY, Caller, Role, require
from protocols.cap import CapType
from protocols.warning import WarningContent

Anybody = Annotated[Caller, require(*EVERYBODY)]
Officer = Annotated[Caller, require(Role.DUTY_OFFICER)]


class Body(BaseModel):
    """Base of the bodies."""

    model_config = ConfigDict(extra="forbid")


class DraftBody(Body):
    """A new warning; the mark of a drill cannot be taken off afterwards."""

    unit: str = Field(min_length=1, max_length=64)
    content: WarningContent
    drill: bool = False


class EditBody(Body):
    """A draft written anew."""

    content: WarningContent


class FollowBody(Body):
    """The draft of an update or of a cancellation."""

    kind: Literal["Update", "Cancel"]
    why: str = Field(default="", max_length=500)


class WhyBody(Body):
    """Why."""

    why: str = Field(min_length=1, max_length=500, pattern=r"\S")


class ConfirmBody(Body):
    """Who answered, and how the duty officer knows."""

    by: str = Field(min_length=1, max_length=64, pattern=r"\S")
    way: Way = Way.PHONE
    note: str = Field(default="", max_length=500)


class IssuerView(BaseModel):
    """A unit that may issue here."""

    unit: str
    events: tuple[str, ...]
    gravest: int


class Issuers(BaseModel):
    """Who may issue, and how call-and-confirm begins."""

    issuers: list[IssuerView]
    call_confirm: str
    public_feed: bool


class ListView(BaseModel):
    """The call list in force; version 0 is empty."""

    version: int
    content: CallList


def routes(room: Warnings, desk: WarningDesk) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/api/v1/warnings", tags=["warnings"])
    _lists(api, room)
    _reading(api, room, desk)
    _writing(api, room, desk)
    _deciding(api, room, desk)
    _calling(api, room, desk)
    return api


def _lists(api: APIRouter, room: Warnings) -> None:
    @api.get("/issuers")
    async def issuers(_: Anybody) -> Issuers:
        """Tell which units may issue which events from here."""
        mine = [IssuerView(unit=one.unit, events=one.events, gravest=one.gravest) for one in room.issuers]
        settings = room.needs.settings
        return Issuers(issuers=mine, call_confirm=settings.call_confirm, public_feed=settings.public_feed)

    @api.get("/call-list")
    async def call_list(_: Officer) -> ListView:
        """Return whom a warning reaches: targets with their responsible persons, and outlets."""
        async with room.needs.store.reading() as reader:
            version, content = await room.calls.call_list(reader)
        return ListView(version=version, content=content)

    @api.put("/call-list")
    async def put_call_list(caller: Officer, body: CallList) -> ListView:
        """Put a new version in force; the versions before are kept."""
        version = await room.calls.set_call_list(body, by=caller.user)
        return ListView(version=version, content=body)


def _reading(api: APIRouter, room: Warnings, desk: WarningDesk) -> None:
    @api.get("")
    async def page(_: Anybody) -> dict[str, list[dict[str, Any]]]:
        """List the newest 200 warnings, own, received and from below, each with its call-and-confirm."""
        return {"items": await desk.page()}

    @api.get("/{warning_id}")
    async def one(warning_id: str, caller: Anybody) -> dict[str, Any]:
        """Return a warning with log, receipts and everybody who is called, the unanswered first."""
        return await desk.get(warning_id, open_=caller.has(Role.DUTY_OFFICER))

    @api.get("/{warning_id}/cap", response_class=Response)
    async def document(warning_id: str, _: Anybody) -> Response:
        """Return the CAP 1.2 document."""
        return cap_answer(await desk.document(warning_id))

    @api.get("/{warning_id}/record")
    async def record(warning_id: str, _: Anybody) -> dict[str, Any]:
        """Return the record of the call-and-confirm: who was reached how and when."""
        return await desk.record(warning_id)

    @api.get("/{warning_id}/record/{form}", response_class=Response)
    async def printed(warning_id: str, form: Literal["pdf", "docx"], _: Anybody) -> Response:
        """Print the record as PDF or Word."""
        whole = await desk.record(warning_id)
        content = await room.needs.paper.printed(paper_of(whole), form)
        file = quote(f"call-confirm-{whole['identifier'] or whole['id']}.{form}")
        headers = {"Content-Disposition": f'attachment; filename="{file}"'}
        return Response(content, 200, headers, media_type=MEDIA_TYPES[form])


def cap_answer(row: Any) -> Response:
    """Answer with a document, its signature beside it and an ETag of its bytes."""
    body: bytes = row.document
    headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"'}
    if row.signature:
        headers["X-Silian-Signature"] = f"ed25519={row.signature}; key={row.public_key}"
    return Response(body, 200, headers, media_type="application/cap+xml; charset=utf-8")


def _writing(api: APIRouter, room: Warnings, desk: WarningDesk) -> None:
    @api.post("", status_code=201)
    async def draft(caller: Officer, body: DraftBody) -> dict[str, Any]:
        """Draft a warning; a weather signal, and what the unit may not issue, is refused at once."""
        id_ = await room.draft(body.unit, body.content, drill=body.drill, by=caller.user)
        return await desk.get(id_, open_=True)

    @api.put("/{warning_id}")
    async def edit(warning_id: str, caller: Officer, body: EditBody) -> dict[str, Any]:
        """Write a draft anew."""
        await room.edit(warning_id, body.content, by=caller.user)
        return await desk.get(warning_id, open_=True)


def _deciding(api: APIRouter, room: Warnings, desk: WarningDesk) -> None:
    @api.post("/{warning_id}/review")
    async def review(warning_id: str, caller: Officer) -> dict[str, Any]:
        """Approve a draft (审核); never its author."""
        await room.review(warning_id, by=caller.user)
        return await desk.get(warning_id, open_=True)

    @api.post("/{warning_id}/return")
    async def send_back(warning_id: str, caller: Officer, body: WhyBody) -> dict[str, Any]:
        """Return a reviewed draft (退回)."""
        await room.send_back(warning_id, body.why, by=caller.user)
        return await desk.get(warning_id, open_=True)

    @api.post("/{warning_id}/sign")
    async def sign(warning_id: str, caller: Officer) -> dict[str, Any]:
        """Sign it (签发): the CAP document is written and signed; never its author."""
        await room.sign(warning_id, by=caller.user)
        return await desk.get(warning_id, open_=True)

    @api.post("/{warning_id}/dispatch")
    async def dispatch(warning_id: str, caller: Officer) -> dict[str, Any]:
        """Publish it (发布): feed, outlets, tier above, call-and-confirm."""
        await room.dispatch(warning_id, by=caller.user)
        return await desk.get(warning_id, open_=True)

    @api.post("/{warning_id}/follow-up", status_code=201)
    async def follow_up(warning_id: str, caller: Officer, body: FollowBody) -> dict[str, Any]:
        """Draft the update or the cancellation of a warning in force."""
        id_ = await room.follow_up(warning_id, CapType(body.kind), by=caller.user, why=body.why)
        return await desk.get(id_, open_=True)

    @api.post("/{warning_id}/archive")
    async def archive(warning_id: str, caller: Officer) -> dict[str, Any]:
        """Put it away; one that was never issued is withdrawn."""
        await room.archive(warning_id, by=caller.user)
        return await desk.get(warning_id, open_=True)


def _calling(api: APIRouter, room: Warnings, desk: WarningDesk) -> None:
    @api.post("/{warning_id}/call")
    async def call(warning_id: str, caller: Officer) -> dict[str, Any]:
        """Call the responsible persons of the warned area (叫应), each on all channels at once."""
        await room.calls.start(warning_id, by=caller.user)
        return await desk.get(warning_id, open_=True)

    @api.post("/{warning_id}/call/end")
    async def end(warning_id: str, caller: Officer, body: WhyBody) -> dict[str, Any]:
        """End the calling with a reason; the record names those who did not answer."""
        await room.calls.end(warning_id, by=caller.user, why=body.why)
        return await desk.get(warning_id, open_=True)

    @api.post("/calls/{call_id}/confirm")
    async def confirm(call_id: str, caller: Officer, body: ConfirmBody) -> dict[str, Any]:
        """Write down that somebody answered, by phone or otherwise."""
        by, note = body.by.strip(), body.note
        warning_id = await room.calls.confirm(call_id, by=by, way=body.way, noted_by=caller.user, note_=note)
        return await desk.get(warning_id, open_=True)
