"""HTTP of the floor: who is muted for everybody here. What one wall hears is `PUT /wall/{id}/floor`."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from gateway.media.floor import MOST
from gateway.media.service import MediaService
from gateway.web.auth import EVERYBODY, Caller, Role, require
from protocols.ids import StreamId, stream_of

CHAIRS = (Role.CALLER, Role.DISPATCHER, Role.DUTY_OFFICER)


class FloorWish(BaseModel):
    """Whose voices a wall hears: of those that speak the loudest few, command always, muted ones never."""

    model_config = ConfigDict(extra="forbid")

    voices: list[StreamId] = Field(max_length=64, description="Streams that take part; none ends it")
    own: StreamId | None = Field(default=None, description="The listener's own voice, which is never heard")
    places: int = Field(default=MOST, ge=1, le=MOST, description="Sound slots of the wall, from the first one on")


class FloorView(BaseModel):
    """Who speaks, as far as anybody did, and who is heard."""

    speaker: str | None
    heard: list[str]
    muted: list[str]


class MuteBody(BaseModel):
    """Whether a voice is muted for everybody at this centre."""

    muted: bool


class MutedList(BaseModel):
    """Streams that nobody here hears."""

    muted: list[str]


def floor_view(service: MediaService, key: str) -> FloorView:
    """Return a conversation in the form of the API."""
    speaker, heard = service.floors.state(key)
    return FloorView(speaker=speaker, heard=list(heard), muted=sorted(service.floors.mutes.streams))


def routes(service: MediaService) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/api/v1/floor", tags=["media"])
    mutes = service.floors.mutes

    @api.get("")
    async def muted(_: Annotated[Caller, require(*EVERYBODY)]) -> MutedList:
        """List the voices that are muted here."""
        return MutedList(muted=sorted(mutes.streams))

    @api.put("/{centre}/{name}")
    async def mute(centre: str, name: str, body: MuteBody, caller: Annotated[Caller, require(*CHAIRS)]) -> MutedList:
        """Mute a voice for everybody at this centre, or let it be heard again; it stays so over a restart."""
        stream = stream_of(centre, name)
        await (mutes.mute if body.muted else mutes.unmute)(stream, by=caller.user)
        return MutedList(muted=sorted(mutes.streams))

    return api
