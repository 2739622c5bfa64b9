"""A small RTSP camera for the demo and for tests: serves one live test card as H.264 over interleaved TCP.

`python -m gateway.demo.rtsp_camera --port 8554 --centre 320685 [--path street]`. It speaks just what an agent's RTSP
client asks for (RFC 2326: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN; section 10.12 for interleaving;
RFC 6184 for the packets). It listens on loopback alone, encodes once for all, and only while somebody watches.
"""

import argparse
import asyncio
import base64
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

from protocols.aio.h264 import CLOCK, NAL_PPS, NAL_SPS, Encoder, Unit, nal_type, nal_units
from protocols.aio.testcard import TestCard
from protocols.tiers import NANTONG

WIDTH, HEIGHT, FRAME_RATE, KEY_FRAME_S, KBPS = 640, 360, 15, 1.0, 800
PAYLOAD_TYPE = 96
MTU = 1200
HEAD_BYTES = 16 * 1024
BACKLOG_BYTES = 4 * 1024 * 1024
"""A client that lags so far behind is cut off; cameras do the same."""
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
    501: "Not Implemented",
}


class Packetizer:
    """Turns pictures into RTP packets of one client: single NAL units and FU-A (RFC 6184 sections 5.6, 5.8)."""

    def __init__(self) -> None:
        self._ssrc = os.urandom(4)
        self._sequence = int.from_bytes(os.urandom(2), "big") & 0x7FFF
        self.sequence = self._sequence

    def packets(self, unit: Unit) -> Iterator[bytes]:
        """Yield the packets of one access unit; the last one bears the marker."""
        payloads = [part for nal in nal_units(unit.data) for part in fragments(nal)]
        for number, payload in enumerate(payloads):
            marker = 0x80 if number == len(payloads) - 1 else 0
            head = bytes((0x80, marker | PAYLOAD_TYPE)) + self._sequence.to_bytes(2, "big")
            self._sequence = (self._sequence + 1) & 0xFFFF
            yield head + (unit.pts & 0xFFFFFFFF).to_bytes(4, "big") + self._ssrc + payload


def fragments(nal: bytes) -> Iterator[bytes]:
    """Yield a NAL unit whole, or as FU-A parts."""
    if len(nal) <= MTU:
        yield nal
        return
    indicator, kind, body = nal[0] & 0xE0 | 28, nal[0] & 0x1F, nal[1:]
    for at in range(0, len(body), MTU):
        start, end = 0x80 if at == 0 else 0, 0x40 if at + MTU >= len(body) else 0
        yield bytes((indicator, kind | start | end)) + body[at : at + MTU]


class Card:
    """The one encoder; `units` carries what every client gets."""

    def __init__(self, code: str, title: str) -> None:
        name = next((centre.name for centre in NANTONG if centre.code == code), code)
        self._card = TestCard(code, name, title, width=WIDTH, height=HEIGHT)
        self._encoder = self._new_encoder()
        self._epoch = time.monotonic()
        self.key_wanted = False
        first = self.next()
        sets = [nal for nal in nal_units(first[0].data) if nal_type(nal) in (NAL_SPS, NAL_PPS)]
        self.profile = sets[0][1:4].hex().upper()
        self.sprop = ",".join(base64.b64encode(nal).decode() for nal in sets)

    @staticmethod
    def _new_encoder() -> Encoder:
        return Encoder(WIDTH, HEIGHT, FRAME_RATE, KBPS, KEY_FRAME_S)

    def next(self) -> list[Unit]:
        """Draw and encode the picture of this moment."""
        now, key = time.monotonic(), self.key_wanted
        self.key_wanted = False
        return self._encoder.encode(self._card.draw(datetime.now(UTC)), int((now - self._epoch) * CLOCK), now, key=key)


class Client:
    """One RTSP connection."""

    def __init__(self, server: "RtspCamera", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._session = os.urandom(6).hex()
        self._channel: int | None = None
        self._packetizer = Packetizer()
        self._started = False

    async def serve(self) -> None:
        """Answer requests until the client leaves."""
        try:
            while await self._one():
                await self._writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            self._server.watchers.discard(self)
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()

    async def _one(self) -> bool:
        first = await self._reader.readexactly(1)
        if first == b"$":  # the client's RTCP on our channel: read and forget
            head = await self._reader.readexactly(3)
            await self._reader.readexactly(int.from_bytes(head[1:], "big"))
            return True
        head = first + await self._reader.readuntil(b"\r\n\r\n")
        line, *rest = head.decode("ascii").split("\r\n")
        method, url, _ = line.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (text.partition(":") for text in rest)}
        length = int(headers.get("content-length", "0"))
        if length > HEAD_BYTES:
            return False
        await self._reader.readexactly(length)
        self._answer(method, url, headers)
        return method != "TEARDOWN"

    def _answer(self, method: str, url: str, headers: dict[str, str]) -> None:
        status, more, body = 200, {}, ""
        match method:
            case "OPTIONS":
                more["Public"] = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
            case "DESCRIBE" if self._server.serves(url):
                body = self._server.description()
                more = {"Content-Type": "application/sdp", "Content-Base": url.rstrip("/") + "/"}
            case "SETUP" if self._server.serves(url):
                status, more = self._set_up(headers.get("transport", ""))
            case "PLAY" if self._channel is not None:
                more = {"Session": self._session, "RTP-Info": f"url={url};seq={self._packetizer.sequence}"}
                self._server.join(self)
            case "PLAY":
                status = 455
            case "GET_PARAMETER" | "TEARDOWN":
                more["Session"] = self._session
            case "DESCRIBE" | "SETUP":
                status = 404
            case _:
                status = 501
        self._write(status, headers.get("cseq", "0"), more, body)

    def _set_up(self, transport: str) -> tuple[int, dict[str, str]]:
        if "RTP/AVP/TCP" not in transport:
            return 461, {}
        wanted = next((part for part in transport.split(";") if part.startswith("interleaved=")), "interleaved=0-1")
        self._channel = int(wanted.removeprefix("interleaved=").split("-")[0]) & 0xFF
        both = f"{self._channel}-{self._channel + 1}"
        return 200, {"Transport": f"RTP/AVP/TCP;unicast;interleaved={both}", "Session": f"{self._session};timeout=60"}

    def _write(self, status: int, number: str, more: dict[str, str], body: str) -> None:
        lines = [f"RTSP/1.0 {status} {_REASONS[status]}", f"CSeq: {number}"]
        lines += [f"{name}: {value}" for name, value in more.items()]
        if body:
            lines.append(f"Content-Length: {len(body.encode())}")
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def cut(self) -> None:
        """Cut the connection."""
        self._writer.transport.abort()

    def send(self, unit: Unit) -> None:
        """Send one picture, from the first key frame on; a client that lags is cut off."""
        self._started = self._started or unit.key
        if not self._started or self._channel is None:
            return
        if self._writer.transport.get_write_buffer_size() > BACKLOG_BYTES:
            self.cut()
            return
        frames = [
            b"$" + bytes((self._channel,)) + len(packet).to_bytes(2, "big") + packet
            for packet in self._packetizer.packets(unit)
        ]
        self._writer.write(b"".join(frames))


class RtspCamera:
    """Serves one card. `async with` listens; `run` draws while somebody watches."""

    def __init__(self, code: str, *, port: int = 0, path: str = "street", title: str = "路口监控") -> None:
        self.port = port
        self.watchers: set[Client] = set()
        self._path = path
        self._card = Card(code, title)
        self._joined = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "RtspCamera":
        self._server = await asyncio.start_server(self._met, "127.0.0.1", self.port, limit=HEAD_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.close()
        for client in tuple(self.watchers):
            client.cut()

    @property
    def url(self) -> str:
        """Address of the stream."""
        return f"rtsp://127.0.0.1:{self.port}/{self._path}"

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Client(self, reader, writer).serve()

    def serves(self, url: str) -> bool:
        """Tell whether a request's address is this stream or its one track."""
        return urlsplit(url).path.strip("/").removesuffix("/video").strip("/") == self._path

    def join(self, client: Client) -> None:
        """Let a client watch from the next key frame on, which comes at once."""
        self.watchers.add(client)
        self._card.key_wanted = True
        self._joined.set()

    def description(self) -> str:
        """Return the session description (RFC 4566, RFC 6184 section 8.2)."""
        card = self._card
        return "\r\n".join(
            (
                "v=0",
                "o=- 1 1 IN IP4 127.0.0.1",
                "s=Silian demo camera",
                "c=IN IP4 0.0.0.0",
                "t=0 0",
                "a=control:*",
                f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
                f"a=rtpmap:{PAYLOAD_TYPE} H264/{CLOCK}",
                f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;profile-level-id={card.profile}"
                f";sprop-parameter-sets={card.sprop}",
                f"a=framerate:{FRAME_RATE}",
                "a=control:video",
                "",
            )
        )

    async def run(self) -> None:
        """Draw and send until cancelled."""
        due = time.monotonic()
        while True:
            if not self.watchers:
                self._joined.clear()
                await self._joined.wait()
                due = time.monotonic()
            for unit in self._card.next():
                for client in tuple(self.watchers):
                    client.send(unit)
            due = max(due + 1 / FRAME_RATE, time.monotonic() - 1 / FRAME_RATE)
            await asyncio.sleep(max(0.0, due - time.monotonic()))


async def serve(code: str, port: int, path: str, title: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with RtspCamera(code, port=port, path=path, title=title) as camera, asyncio.TaskGroup() as group:
        sys.stderr.write(f"camera of {code} at {camera.url}\n")
        drawing = group.create_task(camera.run(), name="rtsp-camera")
        await stopping.wait()
        drawing.cancel()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m gateway.demo.rtsp_camera", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--centre", "--code", required=True, help="division code shown and marked, e.g. 320685")
    parser.add_argument("--path", default="street")
    parser.add_argument("--title", default="路口监控")
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.centre, chosen.port, chosen.path, chosen.title))


if __name__ == "__main__":
    main()
