"""HTTP of orders: list and board, writing with two persons, sending, and what units say."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.orders.desk import OrderDesk
from gateway.orders.printing import OrderPrinter
from gateway.orders.service import OrderContent, Orders
from gateway.web.auth import EVERYBODY, Caller, Role, require
from protocols.ids import CentreCode
from protocols.order import AnswerWay, Deed

Anybody = Annotated[Caller, require(*EVERYBODY)]
Officer = Annotated[Caller, require(Role.DUTY_OFFICER, Role.DISPATCHER)]


class Body(BaseModel):
    """Base of the bodies."""

    model_config = ConfigDict(extra="forbid")


class DraftBody(Body):
    """A new order; the mark of a drill cannot be taken off afterwards."""

    content: OrderContent
    drill: bool = False


class EditBody(Body):
    """A draft written anew."""

    content: OrderContent


class SignBody(Body):
    """Whether the order goes out with the signature."""

    send: bool = False


class WhyBody(Body):
    """Why."""

    why: str = Field(min_length=1, max_length=300, pattern=r"\S")


class ChaseBody(Body):
    """Words to a unit."""

    text: str = Field(min_length=1, max_length=300, pattern=r"\S")


class AnswerBody(Body):
    """What a unit says. For another unit than this one: who spoke there, and how."""

    deed: Deed
    text: str = Field(default="", max_length=1000)
    by: str = Field(default="", max_length=64)
    way: AnswerWay = AnswerWay.CONSOLE


def routes(room: Orders, desk: OrderDesk, printer: OrderPrinter) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/api/v1/orders", tags=["orders"])
    _reading(api, desk, printer)
    _writing(api, room, desk)
    _sending(api, room, desk)
    _following(api, room, desk)
    return api


def _reading(api: APIRouter, desk: OrderDesk, printer: OrderPrinter) -> None:
    @api.get("")
    async def page(_: Anybody) -> dict[str, list[dict[str, Any]]]:
        """List the newest 200 orders, own and received: overdue first, then open, then what is over."""
        return {"items": await desk.page()}

    @api.get("/setup")
    async def setup(_: Anybody) -> dict[str, Any]:
        """Return units, minutes and templates for a new order."""
        return desk.setup()

    @api.get("/{order_id}")
    async def one(order_id: str, _: Anybody) -> dict[str, Any]:
        """Return an order with the board of its units, letters and log."""
        return await desk.get(order_id)

    @api.get("/{order_id}/{form}", response_class=Response)
    async def printed(order_id: str, form: Literal["pdf", "docx"], _: Anybody) -> Response:
        """Return an order as a file: what was signed, and how far each unit has come."""
        content, media_type = await printer.printed(await desk.get(order_id), form)
        name = f"order-{order_id}.{form}"
        return Response(
            content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )


def _writing(api: APIRouter, room: Orders, desk: OrderDesk) -> None:
    @api.post("", status_code=201)
    async def draft(caller: Officer, body: DraftBody) -> dict[str, Any]:
        """Draft an order (拟稿)."""
        return await desk.get(await room.draft(body.content, drill=body.drill, by=caller.user))

    @api.put("/{order_id}")
    async def edit(order_id: str, caller: Officer, body: EditBody) -> dict[str, Any]:
        """Write a draft anew."""
        await room.edit(order_id, body.content, by=caller.user)
        return await desk.get(order_id)

    @api.post("/{order_id}/return")
    async def send_back(order_id: str, caller: Officer, body: WhyBody) -> dict[str, Any]:
        """Return a signed order to its author (退回)."""
        await room.send_back(order_id, body.why, by=caller.user)
        return await desk.get(order_id)


def _sending(api: APIRouter, room: Orders, desk: OrderDesk) -> None:
    @api.post("/{order_id}/sign")
    async def sign(order_id: str, caller: Officer, body: SignBody) -> dict[str, Any]:
        """Sign it (签发), never its author unless the settings permit; with `send` it goes out at once."""
        await room.sign(order_id, by=caller.user)
        if body.send:
            await room.send(order_id, by=caller.user)
        return await desk.get(order_id)

    @api.post("/{order_id}/send")
    async def send(order_id: str, caller: Officer) -> dict[str, Any]:
        """Send a signed order to its units (下达)."""
        await room.send(order_id, by=caller.user)
        return await desk.get(order_id)

    @api.post("/{order_id}/revoke")
    async def revoke(order_id: str, caller: Officer, body: WhyBody) -> dict[str, Any]:
        """Revoke it (撤销), with a reason that every unit sees."""
        await room.revoke(order_id, body.why, by=caller.user)
        return await desk.get(order_id)

    @api.post("/{order_id}/close")
    async def close(order_id: str, caller: Officer) -> dict[str, Any]:
        """Close it (销号) once all units are done."""
        await room.close(order_id, by=caller.user)
        return await desk.get(order_id)


def _following(api: APIRouter, room: Orders, desk: OrderDesk) -> None:
    @api.post("/{order_id}/units/{centre}/chase")
    async def chase(order_id: str, centre: CentreCode, caller: Officer, body: ChaseBody) -> dict[str, Any]:
        """Chase a unit (督办)."""
        await room.chase(order_id, centre, body.text, by=caller.user)
        return await desk.get(order_id)

    @api.post("/{order_id}/units/{centre}/answer")
    async def answer(order_id: str, centre: CentreCode, caller: Officer, body: AnswerBody) -> dict[str, Any]:
        """Sign for an order, report on it, or be done with it (签收/反馈/办结); for others as told by phone."""
        await room.answering.say(
            order_id, centre, body.deed, noted_by=caller.user, text=body.text, by=body.by, way=body.way
        )
        return await desk.get(order_id)
