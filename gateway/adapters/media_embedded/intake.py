"""RTP on its way from sockets to streams: packets wait in their sessions' inboxes and are forwarded together.

A frame whose last packet has come is forwarded at once, anything else after a short window. **Nothing holds the loop
for long**: after some milliseconds timers and handshakes have their turn, sockets are left alone meanwhile (the
kernel's buffer is the bound), and the order of a session's packets stays as it was.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from gateway.adapters.media_embedded.rules.rows import Steady
from gateway.adapters.media_embedded.rules.rtp import Packet
from gateway.adapters.media_embedded.rules.rush import POLL_S
from gateway.adapters.media_embedded.session import Session
from gateway.adapters.media_embedded.socket_port import SocketPort

PORTION = 32
"""Packets of one session that are forwarded in one go: to 100 legs that takes about 10 ms."""
TURN_S = 0.005
"""When so much time has passed, the rest of the inboxes waits for the next turn of the loop."""


class Intake:
    """Sessions call `waiting`, ports `drained` or `single`. `forward` takes what came, `late` how late a turn began."""

    def __init__(
        self, forward: Callable[[Session, list[Packet | Steady]], None], late: Callable[[float], None], window_s: float
    ) -> None:
        self._forward, self._late, self._window_s = forward, late, window_s
        self._loop = asyncio.get_running_loop()
        self._inboxes: deque[Session] = deque()
        self._resting: list[SocketPort] = []
        self._next: asyncio.TimerHandle | None = None
        self._frame_ended = False

    def waiting(self, session: Session, count: int = 1, *, marked: bool) -> None:
        """Have a session's inbox, to which `count` came, emptied: with the batch, or after this slice if a frame ended.

        The slice's end (`drained`) sees to the rest; where packets do not come in slices, call `single` after it.
        """
        if len(session.inbox) == count:
            self._inboxes.append(session)
        if marked:
            self._frame_ended = True

    def single(self) -> None:
        """Note that a packet came by itself: it waits for its fellows in the batch window."""
        if self._inboxes and self._next is None:
            self._next = self._loop.call_later(self._window_s, self._turn)

    def drained(self, port: SocketPort) -> None:
        """Note that a slice of the socket is over: a frame that is whole goes out at once.

        Where something still waits, and in a rush, the port is left alone for a moment, so that what comes meanwhile
        costs one wake-up.
        """
        if self._frame_ended:
            self._empty()
        if self._inboxes or (port.rush.on and self._window_s):
            port.pause()
            self._resting.append(port)
            if self._next is None:
                self._next = self._loop.call_later(self._window_s if self._inboxes else POLL_S, self._turn)

    def _turn(self) -> None:
        """Look after the sockets that were left alone, unless there is enough to do already, and empty the inboxes."""
        if self._next is not None:
            self._late(self._loop.time() - self._next.when())
        self._next = None
        if self._inboxes and self._frame_ended:
            self._empty()  # what was left over from the last turn comes first
        else:
            self._look()
            self._empty()

    def _look(self) -> None:
        resting, self._resting = self._resting, []
        for port in resting:
            port.look()
            if port.rush.on and self._window_s:
                self._resting.append(port)
            else:
                port.resume()

    def _empty(self) -> None:
        """Decrypt, forward, send: until nothing is left, or for a turn's time."""
        until = time.perf_counter() + TURN_S
        try:
            while self._inboxes:
                session = self._inboxes.popleft()
                packets = session.opened(PORTION)
                if session.inbox:
                    self._inboxes.append(session)
                self._forward(session, packets)
                if time.perf_counter() >= until:
                    break
        finally:  # a fault in one session leaves the others for the next turn
            self._frame_ended = bool(self._inboxes)
            if self._next is not None and (self._frame_ended or not self._resting):
                self._next.cancel()
                self._next = None
            if self._next is None and (self._inboxes or self._resting):
                self._next = self._loop.call_later(0.0 if self._inboxes else POLL_S, self._turn)
