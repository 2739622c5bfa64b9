"""How packets of legs get onto the wire: the seam between the `reference` backend and faster ones.

Given the same input, every path sends the same datagrams.
"""

from collections.abc import Mapping
from typing import Protocol

from gateway.adapters.media_embedded.rules.ring import Sent
from gateway.adapters.media_embedded.rules.strand import Out
from gateway.adapters.media_embedded.rules.stun import Address
from gateway.adapters.media_embedded.session import Session
from gateway.adapters.media_embedded.srtp import MAX_PLAIN, Keys, Secured, Srtp
from gateway.adapters.media_embedded.srtp_gcm import GCM, TAG, GcmSrtp
from gateway.adapters.media_embedded.way import Way

MAX_GROUP = 10
"""Segments in one send: more at once would overrun the queue before a thin line."""


class PacketPath(Protocol):
    """Sends what the rules return."""

    name: str

    def secure(self, keys: Keys) -> Secured:
        """Return the SRTP of a session that this path works with."""

    def send(self, out: Out, sessions: Mapping[str, Session]) -> None:
        """Encrypt each packet for its session and send it; packets of a session that is gone are dropped."""

    def modes(self) -> dict[str, str]:
        """Return how it works at the moment, for the figures."""


class ReferencePath:
    """One libsrtp call and one sendto per packet."""

    name = "reference"

    def secure(self, keys: Keys) -> Secured:
        """See the protocol."""
        return Srtp(keys)

    def send(self, out: Out, sessions: Mapping[str, Session]) -> None:
        """See the protocol."""
        for owner, _, sent in out:
            session = sessions.get(owner)
            if session is not None:
                for _, head, payload in sent:
                    session.send_rtp(head + payload)

    def modes(self) -> dict[str, str]:
        """See the protocol."""
        return {"backend": self.name}


class BatchedPath:
    """AES-GCM without libsrtp, and one send for up to ten packets of equal size (UDP GSO).

    Sessions that negotiated another cipher go the reference way. `segmenting` False never uses GSO.
    """

    name = "batched"

    def __init__(self, *, segmenting: bool = True) -> None:
        self._segmenting = segmenting

    def secure(self, keys: Keys) -> Secured:
        """See the protocol."""
        return GcmSrtp.of(keys) if keys.profile in GCM else Srtp(keys)

    def send(self, out: Out, sessions: Mapping[str, Session]) -> None:
        """See the protocol."""
        for owner, ssrc, sent in out:
            session = sessions.get(owner)
            if session is None:
                continue
            srtp, address = session.srtp, session.address
            if address is None or srtp is None:
                continue
            if isinstance(srtp, GcmSrtp):
                self._send(srtp, ssrc, sent, session, address)
            else:
                for _, head, payload in sent:
                    session.send_rtp(head + payload)

    def _send(self, srtp: GcmSrtp, ssrc: int, sent: list[Sent], session: Session, address: Address) -> None:
        """Group packets of equal size, and a shorter one behind them, into one send each."""
        encrypt, base = srtp.sender(ssrc)
        port = session.port
        group: list[bytes] = []
        size = count = unfit = octets = 0
        for index, head, payload in sent:
            total = len(head) + len(payload) + TAG
            octets += total
            if total != size or count == MAX_GROUP:
                if total > MAX_PLAIN + TAG:
                    unfit += 1
                    octets -= total
                    continue
                if total < size and count < MAX_GROUP:
                    group += (head, encrypt((base ^ index).to_bytes(12, "big"), payload, head))
                    self._together(port, group, size, count + 1, address)
                    group, size, count = [], 0, 0
                    continue
                if count:
                    self._together(port, group, size, count, address)
                    group = []
                size, count = total, 0
            group.append(head)
            group.append(encrypt((base ^ index).to_bytes(12, "big"), payload, head))
            count += 1
        if count:
            self._together(port, group, size, count, address)
        session.traffic.packets_out += len(sent) - unfit
        session.line.sent.octets += octets
        for _ in range(unfit):
            session.unfit()

    def _together(self, port: Way, group: list[bytes], size: int, count: int, address: Address) -> None:
        if not self._segmenting:
            port.send_pairs(group, address)
        elif not port.send_group(group, size, count, address):
            self._segmenting = False  # for good: what the kernel cannot do now it cannot do later

    def modes(self) -> dict[str, str]:
        """See the protocol."""
        return {"backend": self.name, "gso": "on" if self._segmenting else "off"}


PATHS: dict[str, type[ReferencePath] | type[BatchedPath]] = {"reference": ReferencePath, "batched": BatchedPath}
