"""Janus' forwarding plugin, request by request (https://janus.conf.meetecho.com/docs/videoroom).

A publisher joins with an offer and gets an answer. A subscriber joins, **is offered to** and answers with `start`.
Rooms and feeds are numbers. Errors are those of `api`.
"""

from dataclasses import dataclass
from typing import Any

from gateway.adapters.media_janus.api import JanusHandle, JanusSession
from protocols.errors import RefusedError

PLUGIN = "janus.plugin.videoroom"


@dataclass(frozen=True, slots=True)
class Forward:
    """One track of a publisher sent as plain RTP to a host and port; `number` stops it."""

    number: int
    kind: str
    host: str
    port: int
    ssrc: int | None
    rtcp_port: int = 0
    """Where Janus hears RTCP for it, 0 where it does not."""


@dataclass(frozen=True, slots=True)
class Member:
    """A participant of a room."""

    number: int
    display: str
    publisher: bool


class VideoRoom:
    """A handle of the plugin, for management or for one publisher or one subscriber."""

    def __init__(self, handle: JanusHandle) -> None:
        self.handle = handle

    @classmethod
    async def attach(cls, session: JanusSession) -> "VideoRoom":
        """Make a handle."""
        return cls(await session.attach(PLUGIN))

    async def _do(self, request: str, **body: Any) -> dict[str, Any]:
        return (await self.handle.ask({"request": request, **body})).data

    # -- rooms ------------------------------------------------------------------------------------------------------

    async def create(self, room: int, *, publishers: int = 64, codecs: str = "vp8,h264", bitrate: int = 0) -> None:
        """Make a room; `bitrate` caps publishers by REMB, 0 does not. RefusedError janus_427 where it exists."""
        await self._do(
            "create", room=room, publishers=publishers, videocodec=codecs, audiocodec="opus", bitrate=bitrate,
            bitrate_cap=False, notify_joining=False,
        )  # fmt: skip

    async def destroy(self, room: int) -> None:
        """End a room and everybody's connection in it."""
        await self._do("destroy", room=room)

    async def rooms(self) -> list[int]:
        """List rooms."""
        return [int(found["room"]) for found in (await self._do("list")).get("list", [])]

    async def members(self, room: int) -> list[Member]:
        """List participants."""
        found = (await self._do("listparticipants", room=room)).get("participants", [])
        return [Member(int(m["id"]), str(m.get("display", "")), bool(m.get("publisher"))) for m in found]

    # -- one publisher ----------------------------------------------------------------------------------------------

    async def publish(self, room: int, feed: int, offer: str, *, display: str = "") -> str:
        """Join as publisher `feed` with an offer; returns Janus' answer."""
        event = await self.handle.ask(
            {"request": "joinandconfigure", "ptype": "publisher", "room": room, "id": feed, "display": display}, offer
        )
        return _sdp(event.sdp, "answered no publisher")

    async def unpublish(self) -> None:
        """Stop publishing; subscribers of the feed lose it."""
        await self._do("unpublish")

    # -- one subscriber ---------------------------------------------------------------------------------------------

    async def subscribe(self, room: int, *feeds: int) -> str:
        """Join as subscriber of feeds, a line for each; returns Janus' offer, to be answered by `start`."""
        streams = [{"feed": feed} for feed in feeds]
        event = await self.handle.ask({"request": "join", "ptype": "subscriber", "room": room, "streams": streams})
        return _sdp(event.sdp, "offered nothing to a subscriber")

    async def start(self, answer: str) -> None:
        """Answer the offer; media flows once ICE and DTLS are through."""
        await self.handle.ask({"request": "start"}, answer, "answer")

    async def switch(self, feed: int, *, mid: str = "0", from_mid: str = "0") -> None:
        """Let a subscriber's line show another feed without renegotiation."""
        await self._do("switch", streams=[{"feed": feed, "mid": from_mid, "sub_mid": mid}])

    # -- plain RTP and other Januses --------------------------------------------------------------------------------

    async def forward(
        self, room: int, feed: int, host: str, port: int, *, mid: str = "0", ssrc: int | None = None,
        payload_type: int | None = None, secret: str = "",
    ) -> list[Forward]:  # fmt: skip
        """Send a publisher's track as plain RTP to `host`:`port`; RTCP is taken back from there for key frames."""
        track: dict[str, Any] = {"mid": mid, "host": host, "port": port, "rtcp_port": port}
        track.update({k: v for k, v in (("ssrc", ssrc), ("pt", payload_type)) if v is not None})
        found = await self._do(
            "rtp_forward",
            room=room,
            publisher_id=feed,
            host=host,
            streams=[track],
            **({"secret": secret} if secret else {}),
        )
        return [
            Forward(
                int(f["stream_id"]),
                str(f["type"]),
                str(f["host"]),
                int(f["port"]),
                f.get("ssrc"),
                int(f.get("local_rtcp_port", 0)),
            )
            for f in found.get("forwarders", [])
        ]

    async def stop_forward(self, room: int, feed: int, number: int) -> None:
        """Stop a forward."""
        await self._do("stop_rtp_forward", room=room, publisher_id=feed, stream_id=number)

    async def publish_remotely(self, room: int, feed: int, name: str, host: str, port: int) -> None:
        """Send all of a publisher to another Janus, which was told by `add_remote_publisher` and named the port."""
        await self._do(
            "publish_remotely", room=room, publisher_id=feed, remote_id=name, host=host, port=port, rtcp_port=port
        )

    async def unpublish_remotely(self, room: int, feed: int, name: str) -> None:
        """Stop sending a publisher to another Janus."""
        await self._do("unpublish_remotely", room=room, publisher_id=feed, remote_id=name)

    async def add_remote_publisher(
        self, room: int, feed: int, streams: list[dict[str, Any]], *, display: str = "", interface: str = ""
    ) -> tuple[str, int]:
        """Make a feed that another Janus sends; `streams` as its `listparticipants` gives them. Returns host, port."""
        found = await self._do(
            "add_remote_publisher", room=room, id=feed, display=display, streams=streams,
            **({"iface": interface} if interface else {}),
        )  # fmt: skip
        return str(found.get("ip", "")), int(found["port"])

    async def remove_remote_publisher(self, room: int, feed: int) -> None:
        """End a feed that another Janus sends."""
        await self._do("remove_remote_publisher", room=room, id=feed)


def _sdp(text: str | None, complaint: str) -> str:
    if not text:
        raise RefusedError(f"Janus {complaint}", "janus_no_sdp")
    return text
