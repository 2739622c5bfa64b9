"""HTTP of reviewing and publishing, of the sheets on paper, and of what a unit says to bulletins from above."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from gateway.ports.paper import MEDIA_TYPES, Document, Form, Grid, Paper
from gateway.rollcall import phrases
from gateway.rollcall.press.documents import Audience, bulletin_document, sheet_csv, sheet_document
from gateway.rollcall.press.inbox import Inbox
from gateway.rollcall.press.service import Press
from gateway.rollcall.rules import monthly
from gateway.rollcall.rules.bulletin import tally
from gateway.rollcall.rules.sheet import CHINA, cells
from gateway.web.auth import EVERYBODY, Caller, Role, require
from protocols.errors import BadInputError
from protocols.ids import CentreCode

Anybody = Annotated[Caller, require(*EVERYBODY)]
Officer = Annotated[Caller, require(Role.CALLER, Role.DUTY_OFFICER)]
Reason = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\S")]
Name = Annotated[str, Field(min_length=1, max_length=32, pattern=r"\S")]


class ReviewBody(BaseModel):
    """Confirm the verdicts; units may object for so many hours, None: as the call's profile says."""

    hours: float | None = Field(default=None, ge=0, le=720)
    note: str = Field(default="", max_length=1000)


class ReasonBody(BaseModel):
    """Why."""

    reason: Reason


class ObjectionBody(BaseModel):
    """An objection that came by telephone."""

    centre: CentreCode
    by: Name
    reason: Reason


class DecisionBody(BaseModel):
    """Whether an objection is upheld, and why."""

    upheld: bool
    answer: Reason


class PublishBody(BaseModel):
    """What is demanded (整改要求), and until when."""

    demands: str = Field(default="", max_length=4000)
    remedy_by: AwareDatetime | None = None


class CorrectBody(PublishBody):
    """The same in a new version, with what it corrects."""

    reason: Reason


class ArchiveBody(BaseModel):
    """Why it is put away although units have not signed."""

    reason: str = Field(default="", max_length=1000)


class ReceiptBody(BaseModel):
    """Who signed by telephone, and what the unit says."""

    by: Name
    feedback: str = Field(default="", max_length=1000)


class SignBody(BaseModel):
    """What the unit says to a bulletin (反馈)."""

    feedback: str = Field(default="", max_length=1000)


def routes(press: Press, inbox: Inbox, paper: Paper) -> APIRouter:
    """Return all routes. They must stand before those of the room's own, whose `/{id}` would take `/monthly`."""
    api = APIRouter(prefix="/api/v1", tags=["roll calls"])
    _months(api, press, paper)
    _sheets(api, press, paper)
    _bulletins(api, press, inbox, paper)
    _reviewing(api, press)
    _publishing(api, press)
    _unit(api, inbox)
    return api


def _file(content: bytes, media_type: str, name: str) -> Response:
    return Response(content, 200, {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}, media_type)


def _months(api: APIRouter, press: Press, paper: Paper) -> None:
    @api.get("/roll-calls/monthly")
    async def month(
        _: Anybody,
        month: Annotated[str, Query(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")],
        form: Literal["json", "xlsx", "pdf", "docx"] = "json",
    ) -> Any:
        """Return the monthly table, the best unit first, with the trend against the month before."""
        first, end = span(month)
        before, _end = span((first - timedelta(days=1)).strftime("%Y-%m"))
        found = monthly.month(await press.scored(first, end), await press.scored(before, first))
        if form == "json":
            return {"month": month, "items": [asdict(one) | {"at_post_rate": one.at_post_rate} for one in found]}
        title = phrases.MONTH_TITLE.format(centre=press.needs.area.own().name, month=month)
        document = Document(title, (Grid(phrases.MONTH, monthly.cells(found), title),), wide=True)
        return _file(await paper.printed(document, form), MEDIA_TYPES[form], f"{title}.{form}")


def span(month: str) -> tuple[datetime, datetime]:
    """Return the first moment of a month of China and of the next one, in UTC."""
    try:
        first = datetime.strptime(month, "%Y-%m").replace(tzinfo=CHINA)
    except ValueError:
        raise BadInputError(f"{month} is no month; write 2026-11") from None
    following = (first + timedelta(days=32)).replace(day=1)
    return first.astimezone(UTC), following.astimezone(UTC)


def _sheets(api: APIRouter, press: Press, paper: Paper) -> None:
    @api.get("/roll-calls/{roll_call_id}/sheet.json")
    async def sheet(roll_call_id: str, _: Anybody) -> dict[str, Any]:
        """Return the result sheet in the words of the form, and its figures."""
        found = await press.desk.sheet(roll_call_id)
        return {
            "title": found.title,
            "drill": found.drill,
            "columns": list(phrases.COLUMNS),
            "keys": list(phrases.COLUMN_KEYS),
            "rows": [list(cells(line)) for line in found.lines],
            "centres": [line.centre for line in found.lines],
            "tally": asdict(tally(found.lines)),
            "roster": dict(found.roster),
        }

    @api.get("/roll-calls/{roll_call_id}/sheet.csv", response_class=Response)
    async def table(roll_call_id: str, _: Anybody) -> Response:
        """Return the result sheet for spreadsheets."""
        found = await press.desk.sheet(roll_call_id)
        return _file(sheet_csv(found), "text/csv; charset=utf-8", f"{found.title}-{roll_call_id}.csv")

    @api.get("/roll-calls/{roll_call_id}/sheet.{form}", response_class=Response)
    async def printed(roll_call_id: str, form: Form, _: Anybody) -> Response:
        """Print the result sheet."""
        found = await press.desk.sheet(roll_call_id)
        content = await paper.printed(sheet_document(found), form)
        return _file(content, MEDIA_TYPES[form], f"{found.title}-{roll_call_id}.{form}")


def _bulletins(api: APIRouter, press: Press, inbox: Inbox, paper: Paper) -> None:
    @api.get("/roll-calls/{roll_call_id}/bulletin.json")
    async def draft(roll_call_id: str, caller: Anybody) -> dict[str, Any]:
        """Return the newest published bulletin, or what would be published now."""
        content, lines, seal = await _content(press, roll_call_id, caller.user)
        return {"content": content, "lines": lines, "seal": seal, "columns": list(phrases.COLUMNS)}

    @api.get("/roll-calls/{roll_call_id}/bulletin.{form}", response_class=Response)
    async def printed(roll_call_id: str, form: Form, caller: Anybody, audience: Audience = "units") -> Response:
        """Print it: one page for leaders, or with every unit's line."""
        content, lines, seal = await _content(press, roll_call_id, caller.user)
        name = press.needs.area.own().name
        document = bulletin_document(content, lines, name, seal=seal, audience=audience)
        file = f"{content['number'] or phrases.DRAFT}.{form}"
        return _file(await paper.printed(document, form), MEDIA_TYPES[form], file)

    @api.get("/bulletins")
    async def received(_: Anybody) -> dict[str, Any]:
        """List the bulletins that came from above, the newest first."""
        return {"items": await inbox.bulletins()}

    @api.get("/bulletins/{bulletin_id}")
    async def one(bulletin_id: str, _: Anybody) -> dict[str, Any]:
        """Return one bulletin that came from above."""
        return await inbox.bulletin(bulletin_id) | {"keys": list(phrases.COLUMN_KEYS)}

    @api.get("/bulletins/{bulletin_id}/print.{form}", response_class=Response)
    async def copy(bulletin_id: str, form: Form, _: Anybody) -> Response:
        """Print one that came from above, with this unit's line."""
        row = await inbox.bulletin(bulletin_id)
        own = press.needs.area.own().code
        name = inbox.centre_name(row["content"]["centre"])
        document = bulletin_document(row["content"], {own: row["line"]}, name, seal=row["seal"], own=own)
        return _file(await paper.printed(document, form), MEDIA_TYPES[form], f"{row['number']}.{form}")


async def _content(press: Press, roll_call_id: str, by: str) -> tuple[dict[str, Any], dict[str, list[str]], str]:
    published = (await press.desk.standing(roll_call_id))["bulletins"]
    if published:
        row = await press.desk.bulletin(published[-1]["id"])
        return row["content"], row["lines"], row["seal"]
    content, lines = await press.draft(roll_call_id, by=by)
    return content, lines, ""


def _reviewing(api: APIRouter, press: Press) -> None:
    told = press.desk.standing

    @api.get("/roll-calls/{roll_call_id}/review")
    async def standing(roll_call_id: str, _: Anybody) -> dict[str, Any]:
        """Return who confirmed the verdicts, the objections, and what was published."""
        return await told(roll_call_id)

    @api.post("/roll-calls/{roll_call_id}/review")
    async def review(roll_call_id: str, body: ReviewBody, caller: Officer) -> dict[str, Any]:
        """Confirm the verdicts as the second person (双人复核); units are told and may object."""
        await press.review(roll_call_id, by=caller.user, hours=body.hours, note=body.note)
        return await told(roll_call_id)

    @api.post("/roll-calls/{roll_call_id}/close-window")
    async def close(roll_call_id: str, body: ReasonBody, caller: Officer) -> dict[str, Any]:
        """End the objections window early, with a reason."""
        await press.close_window(roll_call_id, body.reason, by=caller.user)
        return await told(roll_call_id)

    @api.post("/roll-calls/{roll_call_id}/objections", status_code=201)
    async def note(roll_call_id: str, body: ObjectionBody, caller: Officer) -> dict[str, Any]:
        """Note an objection that came by telephone."""
        await press.note_objection(roll_call_id, body.centre, body.by, body.reason, by=caller.user)
        return await told(roll_call_id)

    @api.post("/roll-calls/{roll_call_id}/objections/{objection_id}/decide")
    async def decide(roll_call_id: str, objection_id: str, body: DecisionBody, caller: Officer) -> dict[str, Any]:
        """Decide an objection."""
        await press.decide(roll_call_id, objection_id, upheld=body.upheld, answer=body.answer, by=caller.user)
        return await told(roll_call_id)


def _publishing(api: APIRouter, press: Press) -> None:
    told = press.desk.standing

    @api.post("/roll-calls/{roll_call_id}/publish")
    async def publish(roll_call_id: str, body: PublishBody, caller: Officer) -> dict[str, Any]:
        """Put the bulletin out: numbered, sealed, sent to each unit."""
        await press.publish(roll_call_id, by=caller.user, demands=body.demands, remedy_by=body.remedy_by)
        return await told(roll_call_id)

    @api.post("/roll-calls/{roll_call_id}/correct")
    async def correct(roll_call_id: str, body: CorrectBody, caller: Officer) -> dict[str, Any]:
        """Put out a new version; the earlier one stays readable."""
        await press.correct(roll_call_id, body.reason, by=caller.user, demands=body.demands, remedy_by=body.remedy_by)
        return await told(roll_call_id)

    @api.post("/roll-calls/{roll_call_id}/archive")
    async def archive(roll_call_id: str, body: ArchiveBody, caller: Officer) -> dict[str, Any]:
        """Put a published roll call away."""
        await press.archive(roll_call_id, body.reason, by=caller.user)
        return await told(roll_call_id)

    @api.post("/roll-calls/{roll_call_id}/receipts/{centre}")
    async def sign_for(roll_call_id: str, centre: CentreCode, body: ReceiptBody, caller: Officer) -> dict[str, Any]:
        """Note that a unit signed by telephone."""
        published = (await told(roll_call_id))["bulletins"]
        newest = published[-1]["id"] if published else ""
        await press.sign_for(newest, centre, body.by, body.feedback, by=caller.user)
        return await told(roll_call_id)


def _unit(api: APIRouter, inbox: Inbox) -> None:
    @api.get("/roll-call-results")
    async def results(_: Anybody) -> dict[str, Any]:
        """List how this unit stands in roll calls from above, before they are published."""
        return {"items": await inbox.results()}

    @api.post("/roll-call-results/{roll_call_id}/object")
    async def object_to(roll_call_id: str, body: ReasonBody, caller: Officer) -> dict[str, Any]:
        """Dispute this unit's result."""
        await inbox.object_to(roll_call_id, body.reason, by=caller.user)
        return {"items": await inbox.results()}

    @api.post("/bulletins/{bulletin_id}/sign")
    async def sign(bulletin_id: str, body: SignBody, caller: Officer) -> dict[str, Any]:
        """Sign for a bulletin in the name of this unit (签收)."""
        await inbox.sign(bulletin_id, body.feedback, by=caller.user)
        return await inbox.bulletin(bulletin_id)
