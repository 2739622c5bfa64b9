"""The media worker: a process with nothing else in it. Started by `supervisor.py`, told what to do over a socket pair.

It ends when the socket pair does, or with its parent. It writes nothing and knows no users, tiers or tokens.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import signal
import socket
from dataclasses import replace
from typing import Any

from gateway.adapters.media_embedded import dtls, moment
from gateway.adapters.media_embedded.backends import path_of
from gateway.adapters.media_embedded.doors import NUMBERS_TRIED, Doors
from gateway.adapters.media_embedded.figures import figures_of
from gateway.adapters.media_embedded.hub import Event, Hub
from gateway.adapters.media_embedded.lineage import die_with_parent, go_before_others
from gateway.adapters.media_embedded.plain import PlainSession
from gateway.adapters.media_embedded.rules import access_unit
from gateway.adapters.media_embedded.rules.gop import KeyFrame
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.stun import Address
from gateway.adapters.media_embedded.session import Session
from gateway.adapters.media_embedded.socket_port import SocketPort
from gateway.adapters.media_embedded.taps import Taps
from gateway.adapters.media_embedded.tcp_port import TcpPort
from gateway.adapters.media_embedded.wire import (
    Alive,
    Ask,
    Assign,
    Carry,
    Close,
    Configure,
    Limit,
    Measure,
    Open,
    Picture,
    Reply,
    Request,
    Reserve,
    Restart,
    Tap,
    Untap,
    WireError,
    pack_answer,
    read_ask,
)
from gateway.ports.media import EndReason

logger = logging.getLogger(__name__)
MAX_BACKLOG = 8 << 20
"""Unread bytes towards control at which the worker gives control up and ends."""
GC_THRESHOLD = (50_000, 20, 50)
"""Packets are tuples without cycles: the collector would look at them often and in vain."""
PICTURE_EVERY_S = 0.02


class Worker:
    """Serves one control connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, setup: Configure) -> None:
        self._reader, self._writer = reader, writer
        self._setup = setup
        shared = dtls.context(setup.certificate, setup.key)
        self._path = path_of(setup.backend, setup.library)
        self.hub = Hub(shared, self._path, self._emit, setup.window_s, setup.uplink_bps)
        self._ports: list[SocketPort] = []
        self._tcp: list[TcpPort] = []
        self._taps = Taps(lost=self.hub.untap)
        self._reserved: dict[str, Doors] = {}
        self._own: dict[str, Session] = {}

    def listen(self) -> int:
        """Bind the worker's port on every configured address; returns its number. Raises OSError.

        Where any port will do, one is taken that is free for TCP too. A port that is taken for TCP leaves UDP alone.
        """
        for left in reversed(range(NUMBERS_TRIED if self._setup.port == 0 else 1)):
            number = self._setup.port
            for host in self._setup.bind:
                self._ports.append(self._port(host, number))
                number = self._ports[0].number
            if not self._setup.tcp or self._listen_tcp(number) or not left:
                break
            for port in self._ports:
                port.close()
            self._ports.clear()
        return self._ports[0].number

    def _listen_tcp(self, number: int) -> bool:
        try:
            for host in self._setup.bind:
                self._tcp.append(self._connections(host, number))
        except OSError:
            for port in self._tcp:
                port.close()
            self._tcp.clear()
        return bool(self._tcp)

    def _connections(self, host: str, number: int) -> TcpPort:
        def receive(data: bytes, source: Address) -> None:
            self.hub.receive(port, data, source)
            self.hub.single()

        port = TcpPort(host, number, receive, self.hub.gone)
        return port

    @property
    def tcp(self) -> str:
        """How passive ICE-TCP stands: on, off, or taken where another program holds the port."""
        if self._tcp:
            return "on"
        return "taken" if self._setup.tcp else "off"

    def _port(self, host: str, number: int, session: str | None = None) -> SocketPort:
        if session is None:
            port = self._path.port(host, number, self.hub.receive, self.hub.drained)
            port.read = self.hub.read
            return port

        def receive(port: SocketPort, data: bytes, source: Address) -> None:
            own = self._own.get(session)
            if isinstance(own, PlainSession):
                own.take(data, source)
            elif own is not None:
                self.hub.receive(port, data, source, own)

        return self._path.port(host, number, receive, self.hub.drained)

    def _reserve(self, number: int, session: str, host: str) -> Reply:
        try:
            doors = Doors.opened([host] if host else self._setup.bind, lambda at, port: self._port(at, port, session))
        except OSError:
            return Reply(number, ok=False)
        self._reserved[session] = doors
        return Reply(number, port=doors.number)

    def _emit(self, event: Event) -> None:
        if event.op == "over":
            self._own.pop(event.session, None)
            self._let_go(event.session)
        self._write(pack_answer(event))

    def _write(self, data: bytes) -> None:
        if self._writer.transport.get_write_buffer_size() > MAX_BACKLOG:
            logger.error("control does not read, the media worker ends")
            self._writer.transport.abort()
            return
        self._writer.write(data)

    async def serve(self) -> None:
        """Answer requests until control is gone."""
        async with asyncio.TaskGroup() as group:
            pictures: set[asyncio.Task[None]] = set()
            while True:
                try:
                    ask = await read_ask(self._reader)
                except WireError:
                    break
                if isinstance(ask.request, Picture):
                    name = f"picture[{ask.request.stream}]"
                    task = group.create_task(self._picture(ask.number, ask.request), name=name)
                    pictures.add(task)
                    task.add_done_callback(pictures.discard)
                else:
                    self._write(pack_answer(self._answer(ask)))
            for task in pictures:
                task.cancel()

    def _answer(self, ask: Ask) -> Reply:
        match ask.request:
            case Reserve(session, host):
                return self._reserve(ask.number, session, host)
            case Open() as spec:
                return Reply(ask.number, ok=self._open(spec))
            case Close(session, reason):
                self.hub.close(session, reason)
                self._let_go(session)
                return Reply(ask.number)
            case Alive():
                return Reply(ask.number)
            case Measure():
                figures = figures_of(self.hub, self._all_ports(), (self.tcp, self._tcp))
                return Reply(ask.number, figures=replace(figures, dropped={**figures.dropped, **self._taps.counted()}))
            case _:
                return Reply(ask.number, ok=self._changed(ask.request))

    def _changed(self, request: Request) -> bool:
        match request:
            case Restart(session, local):
                return self.hub.restart(session, local)
            case Assign(session, slots):
                return self.hub.assign(session, slots)
            case Carry(session, layers):
                return self.hub.carry(session, frozenset(layers))
            case Limit(uplink_bps):
                self.hub.seating.sharing.limit(uplink_bps)
                return True
            case Tap() | Untap():
                self.hub.untap(request.tap)
                self._taps.close(request.tap)
                return isinstance(request, Untap) or self._tap(request)
            case _:
                return False

    def _tap(self, wanted: Tap) -> bool:
        tap = self._taps.open(wanted.tap, wanted.path, wanted.layer.value)
        if tap is None:
            return False
        self.hub.tap(tap, wanted.stream)
        return True

    def _let_go(self, session: str) -> None:
        doors = self._reserved.pop(session, None)
        if doors is not None:
            doors.close()

    def _all_ports(self) -> list[SocketPort]:
        return [*self._ports, *(port for doors in self._reserved.values() for port in doors.ports)]

    def _open(self, spec: Open) -> bool:
        if not spec.candidates:
            return self.hub.open(spec, self._ports[0])
        doors = self._reserved.get(spec.session)
        if doors is None or not self.hub.open(spec, doors.way):
            return False
        self._own[spec.session] = self.hub.sessions[spec.session]
        return True

    async def _picture(self, number: int, wanted: Picture) -> None:
        """Wait for a key frame that is new enough, asking the source for one."""
        until = moment.now() + wanted.timeout_s
        while True:
            stream = self.hub.streams.get(wanted.stream)
            frame = None if stream is None else stream.key_frame()
            if frame is not None and (wanted.newer_than is None or frame.at > wanted.newer_than):
                unit = unit_of(frame)
                if unit:
                    codec = frame.codec.partition("/")[0]
                    self._write(
                        pack_answer(Reply(number, codec=codec, arrived_at=frame.at), b"" if wanted.bare else unit)
                    )
                    return
            if moment.now() >= until:
                self._write(pack_answer(Reply(number, ok=False)))
                return
            if stream is not None and stream.source is not None:
                wish = stream.wish(moment.now())
                if wish.overdue(moment.now()):
                    wish.ask()
            await asyncio.sleep(PICTURE_EVERY_S)


def unit_of(frame: KeyFrame) -> bytes:
    """Put a key frame together; empty if it cannot be."""
    try:
        return access_unit.joined(frame.codec.partition("/")[0], list(frame.payloads))
    except MalformedError:
        return b""


async def run(descriptor: int) -> None:
    """Serve the socket pair's end until it closes."""
    link = socket.socket(fileno=descriptor)
    link.settimeout(0)
    reader, writer = await asyncio.open_connection(sock=link)
    first = await read_ask(reader)
    if not isinstance(first.request, Configure):
        raise WireError("the first message must be configure")
    worker = Worker(reader, writer, first.request)
    try:
        port = worker.listen()
    except OSError:
        writer.write(pack_answer(Reply(first.number, ok=False)))
        await writer.drain()
        return
    asyncio.get_running_loop().set_exception_handler(lambda _, context: _failed(worker, context))
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)
    writer.write(pack_answer(Reply(first.number, port=port, tcp=worker.tcp == "on")))
    await worker.serve()
    for name in list(worker.hub.sessions):
        worker.hub.close(name, EndReason.SHUTDOWN)


def _failed(worker: Worker, context: dict[str, Any]) -> None:
    """Count what should not have happened and go on: one packet's fault must not end everybody's picture."""
    worker.hub.drop("internal_error")
    logger.error("media worker: %s", context.get("message"), exc_info=context.get("exception"))


def main() -> None:
    """Run as `python -m gateway.adapters.media_embedded.worker --control FD --parent PID`."""
    parser = argparse.ArgumentParser(description="media worker; started by the gateway")
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    arguments = parser.parse_args()
    die_with_parent(arguments.parent)
    go_before_others()
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal or systemd tells the whole group; control decides
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s media-worker %(levelname)s %(message)s")
    with contextlib.suppress(WireError):
        asyncio.run(run(arguments.control))


if __name__ == "__main__":
    main()
