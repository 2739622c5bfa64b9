"""HTTP of swaps, handovers, presence, and the roster as a sheet."""

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from gateway.duty.api import PLANNERS, check_range
from gateway.duty.deeds import Deeds, Swap
from gateway.duty.machine import DEFAULT_PLAN
from gateway.duty.service import DutyService
from gateway.duty.sheets import parse, read_lines, table_of, to_csv, to_xlsx
from gateway.web.auth import EVERYBODY, Caller, Role, require

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Format = Literal["xlsx", "csv"]


class SwapBody(BaseModel):
    """A wish for a substitute."""

    day: date
    shift: str = Field(max_length=16)
    out_person: str = Field(max_length=26)
    in_person: str = Field(max_length=26)
    reason: str = Field(default="", max_length=200)


class DecideBody(BaseModel):
    """The answer to a swap."""

    approve: bool


class HandoverBody(BaseModel):
    """The taking person's signature; the giving one is logged in."""

    taken_by: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=256)
    remarks: str = Field(default="", max_length=2000)


class PersonRef(BaseModel):
    """A person of the present shift."""

    person: str = Field(max_length=26)


def deed_routes(room: DutyService) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/api/v1/duty", tags=["duty"])
    deeds = Deeds(room)
    _swaps(api, deeds)
    _handovers(api, deeds)
    _sheets(api, room)
    return api


def _swaps(api: APIRouter, deeds: Deeds) -> None:
    @api.get("/swaps")
    async def swaps(_: Annotated[Caller, require(*EVERYBODY)]) -> dict[str, list[dict[str, Any]]]:
        """List the newest swaps."""
        return {"items": await deeds.swaps()}

    @api.post("/swaps", status_code=201)
    async def ask(body: SwapBody, caller: Annotated[Caller, require(*PLANNERS)]) -> dict[str, Any]:
        """Ask for a substitute."""
        return await deeds.ask(Swap(**body.model_dump()), by=caller.user)

    @api.post("/swaps/{ident}/decision")
    async def decide(ident: str, body: DecideBody, caller: Annotated[Caller, require(*PLANNERS)]) -> dict[str, Any]:
        """Approve or refuse a swap; not by the one who asked."""
        return await deeds.decide(ident, approve=body.approve, by=caller.user)


def _handovers(api: APIRouter, deeds: Deeds) -> None:
    @api.get("/handovers")
    async def handovers(_: Annotated[Caller, require(*EVERYBODY)]) -> dict[str, list[dict[str, Any]]]:
        """List the newest handovers, and what lies open now."""
        items = [item.model_dump(mode="json") for item in await deeds.items()]
        return {"items": await deeds.handovers(), "open": items}

    @api.post("/handovers", status_code=201)
    async def hand_over(body: HandoverBody, caller: Annotated[Caller, require(Role.DUTY_OFFICER)]) -> dict[str, Any]:
        """Hand over: the caller gives, `taken_by` signs with the own password."""
        return await deeds.hand_over(given_by=caller.user, **body.model_dump())

    @api.get("/presence")
    async def presence(_: Annotated[Caller, require(*EVERYBODY)]) -> dict[str, list[dict[str, Any]]]:
        """List the newest signings."""
        return {"items": await deeds.presence()}

    @api.post("/presence", status_code=201)
    async def sign_in(body: PersonRef, caller: Annotated[Caller, require(*PLANNERS)]) -> dict[str, Any]:
        """Note that a person of the present shift is at his post."""
        return await deeds.sign_in(body.person, by=caller.user)

    @api.delete("/presence/{person}", status_code=204)
    async def sign_out(person: str, _: Annotated[Caller, require(*PLANNERS)]) -> None:
        """Note that a person left his post."""
        await deeds.sign_out(person)


def _sheets(api: APIRouter, room: DutyService) -> None:
    @api.get("/roster.{form}", response_class=Response)
    async def sheet(
        form: Format,
        _: Annotated[Caller, require(*EVERYBODY)],
        first: Annotated[date, Query(alias="from")],
        last: Annotated[date, Query(alias="to")],
    ) -> Response:
        """Return the roster as a sheet without phones; a month that nobody planned is the template."""
        check_range(first, last)
        days, _wrong = await room.days(first, last)
        lines = table_of(days, await room.people())
        name = f'attachment; filename="duty-{room.centre}-{first}-{last}.{form}"'
        content, type_ = (to_csv(lines), "text/csv; charset=utf-8") if form == "csv" else (to_xlsx(lines), XLSX)
        return Response(content, 200, {"Content-Disposition": name}, media_type=type_)

    @api.post("/roster", response_class=JSONResponse)
    async def take(request: Request, caller: Annotated[Caller, require(*PLANNERS)]) -> JSONResponse:
        """Take a sheet (XLSX or CSV as the body): all of it, or 422 with every fault by line and column."""
        lines = read_lines(await request.body())
        wanted, faults = parse(lines, await room.plan() or DEFAULT_PLAN, await room.people())
        if faults:
            return JSONResponse({"days": 0, "faults": [asdict(one) for one in faults]}, 422)
        async with room.needs.store.unit() as uow:
            for day, shifts in sorted(wanted.items()):
                await room.replace_within(uow, day, shifts, by=caller.user)
        return JSONResponse({"days": len(wanted), "faults": []})
