"""HTTP of the reports room."""

from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, Field

from gateway.reports.inbox import Inbox
from gateway.reports.printing import Printer
from gateway.reports.service import Reports
from gateway.web.auth import EVERYBODY, Caller, Role, require
from protocols.ids import CentreCode, Ulid
from protocols.report import Content, ReportKind

Anybody = Annotated[Caller, require(*EVERYBODY)]
Officer = Annotated[Caller, require(Role.DUTY_OFFICER)]
Named = Field(min_length=1, max_length=64, pattern=r"\S")


class OpenBody(BaseModel):
    """A first report: either from an alarm, or with its words. `drill` can only be set here."""

    alarm_id: Ulid | None = None
    content: Content = Content()
    known_at: AwareDatetime | None = None
    drill: bool = False


class EditBody(BaseModel):
    """The whole draft; `reasons` says why numbers fell or jumped, by their names."""

    content: Content
    reasons: dict[str, Annotated[str, Field(max_length=500)]] = Field(default_factory=dict)


class NextBody(BaseModel):
    """What the next version is."""

    kind: Literal[ReportKind.FOLLOWUP, ReportKind.VERIFIED, ReportKind.FINAL]


class SignBody(BaseModel):
    """Who takes the responsibility (签发人)."""

    signer: str = Named


class SendBody(BaseModel):
    """To whom; nobody named = the tier above."""

    to: list[CentreCode] = Field(default_factory=list, max_length=4)


class PhoneBody(BaseModel):
    """A telephone call that somebody answered."""

    to: CentreCode | Literal["government"]
    receiver: str = Named
    at: AwareDatetime | None = None


class ReturnBody(BaseModel):
    """Why a version goes back."""

    reason: str = Field(min_length=1, max_length=1000, pattern=r"\S")


def routes(room: Reports, inbox: Inbox, printer: Printer) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/api/v1/reports", tags=["reports"])
    _reading(api, room, printer)
    _writing(api, room)
    _signing(api, room)

    @api.post("/{report_id}/acknowledge")
    async def acknowledge(report_id: str, caller: Officer) -> dict[str, Any]:
        """Sign for the newest version of a report from below (签收)."""
        return await inbox.acknowledge(report_id, by=caller.user)

    @api.post("/{report_id}/return")
    async def send_back(report_id: str, caller: Officer, body: ReturnBody) -> dict[str, Any]:
        """Return the newest version of a report from below (退回)."""
        return await inbox.send_back(report_id, body.reason, by=caller.user)

    @api.post("/{report_id}/pass-on", status_code=201)
    async def pass_on(report_id: str, caller: Officer) -> dict[str, Any]:
        """Open an own report with what one from below says (转报)."""
        return await room.pass_on(report_id, by=caller.user)

    return api


def _reading(api: APIRouter, room: Reports, printer: Printer) -> None:
    @api.get("")
    async def page(_: Anybody) -> dict[str, list[dict[str, Any]]]:
        """List the newest 200 reports, own and received, each with its next clock."""
        return {"items": await room.desk.list()}

    @api.get("/{report_id}")
    async def one(report_id: str, _: Anybody) -> dict[str, Any]:
        """Return a report with its versions, deliveries, clocks, numbers' history and log."""
        return await room.desk.get(report_id)

    @api.get("/{report_id}/versions/{version}/{form}", response_class=Response)
    async def printed(report_id: str, version: int, form: Literal["pdf", "docx"], _: Anybody) -> Response:
        """Print one version as PDF or Word."""
        report = await room.desk.get(report_id)
        content, media_type = await printer.printed(report, version, form)
        file = quote(f"{report['serial']}-v{version}.{form}")
        return Response(content, 200, {"Content-Disposition": f'attachment; filename="{file}"'}, media_type=media_type)


def _writing(api: APIRouter, room: Reports) -> None:
    @api.post("", status_code=201)
    async def open_(body: OpenBody, caller: Officer) -> dict[str, Any]:
        """Open a report with the draft of its first version (首报), filled in from an alarm where one is named."""
        if body.alarm_id is not None:
            return await room.open_from_alarm(body.alarm_id, by=caller.user)
        return await room.open(body.content, by=caller.user, known_at=body.known_at, drill=body.drill)

    @api.put("/{report_id}/draft")
    async def edit(report_id: str, caller: Officer, body: EditBody) -> dict[str, Any]:
        """Write the open draft anew."""
        return await room.edit(report_id, body.content, body.reasons, by=caller.user)

    @api.post("/{report_id}/versions", status_code=201)
    async def next_version(report_id: str, caller: Officer, body: NextBody) -> dict[str, Any]:
        """Open the draft of the next version (续报, 核报, 终报)."""
        return await room.next_version(report_id, body.kind, by=caller.user)

    @api.post("/{report_id}/correct", status_code=201)
    async def correct(report_id: str, caller: Officer) -> dict[str, Any]:
        """Open a draft that replaces the last signed version, which stays readable."""
        return await room.correct(report_id, by=caller.user)


def _signing(api: APIRouter, room: Reports) -> None:
    @api.post("/{report_id}/sign")
    async def sign(report_id: str, caller: Officer, body: SignBody) -> dict[str, Any]:
        """Sign the draft; it never changes afterwards."""
        return await room.sign(report_id, signer=body.signer.strip(), by=caller.user)

    @api.post("/{report_id}/send")
    async def send(report_id: str, caller: Officer, body: SendBody | None = None) -> dict[str, Any]:
        """Send the signed version up."""
        return await room.send(report_id, body.to if body else [], by=caller.user)

    @api.post("/{report_id}/phone")
    async def phoned(report_id: str, caller: Officer, body: PhoneBody) -> dict[str, Any]:
        """Note a telephone report with the name of who took it; it stops the clocks that ask for one."""
        return await room.phoned(report_id, body.to, body.receiver.strip(), body.at, by=caller.user)
