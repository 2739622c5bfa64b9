"""How packets of legs get onto the wire: the seam between the `reference` backend and faster ones.

Given the same input, every path sends the same datagrams.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from gateway.adapters.media_embedded.rules.convoy import Fan
from gateway.adapters.media_embedded.rules.ring import Sent
from gateway.adapters.media_embedded.rules.strand import Out, Portion
from gateway.adapters.media_embedded.rules.stun import Address
from gateway.adapters.media_embedded.session import Session
from gateway.adapters.media_embedded.socket_port import Receiver, SocketPort
from gateway.adapters.media_embedded.srtp import MAX_PLAIN, Keys, Secured, Srtp
from gateway.adapters.media_embedded.srtp_gcm import GCM, TAG, GcmSrtp
from gateway.adapters.media_embedded.way import Way

MAX_GROUP = 10
"""Segments in one send: more at once would overrun the queue before a thin line."""


Group = tuple[int, int, int]
"""Packets from the first place up to the second one go together; each is so long, the last one perhaps shorter."""


PortMaker = Callable[[str, int, Receiver, Callable[[SocketPort], None]], SocketPort]


class PacketPath(Protocol):
    """Sends what the rules return. `port` binds a UDP socket that works with it (see `SocketPort`)."""

    name: str
    port: PortMaker
    fans: bool
    """Whether legs shall go in convoys (`rules/convoy`)."""

    def secure(self, keys: Keys) -> Secured:
        """Return the SRTP of a session that this path works with."""

    def send(self, out: Out, sessions: Mapping[str, Session]) -> None:
        """Encrypt each packet for its session and send it; packets of a session that is gone are dropped."""

    def modes(self) -> dict[str, str]:
        """Return how it works at the moment, for the figures."""


class ReferencePath:
    """One libsrtp call and one sendto per packet."""

    name = "reference"
    port: PortMaker = SocketPort
    fans = False

    def secure(self, keys: Keys) -> Secured:
        """See the protocol."""
        return Srtp(keys)

    def send(self, out: Out, sessions: Mapping[str, Session]) -> None:
        """See the protocol."""
        for owner, _, sent in portions(out):
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
    port: PortMaker = SocketPort
    fans = False

    def __init__(self, *, segmenting: bool = True) -> None:
        self._segmenting = segmenting

    def secure(self, keys: Keys) -> Secured:
        """See the protocol."""
        return GcmSrtp.of(keys) if keys.profile in GCM else Srtp(keys)

    def send(self, out: Out, sessions: Mapping[str, Session]) -> None:
        """See the protocol."""
        groups: list[Group] = []
        first, last, length, head_size = b"", b"", 0, 0
        for owner, ssrc, sent in portions(out):
            session = sessions.get(owner)
            if session is None:
                continue
            srtp, address = session.srtp, session.address
            if address is None or srtp is None:
                continue
            if isinstance(srtp, GcmSrtp):
                _, head, payload = sent[0]
                # legs of one run have the very same payloads: they are cut into groups alike
                if payload is not first or sent[-1][2] is not last or len(sent) != length or len(head) != head_size:
                    groups = groups_of(sent)
                    first, last, length, head_size = payload, sent[-1][2], len(sent), len(head)
                self._send(srtp, ssrc, sent, groups, session, address)
            else:
                for _, head, payload in sent:
                    session.send_rtp(head + payload)

    def _send(
        self, srtp: GcmSrtp, ssrc: int, sent: Sequence[Sent], groups: list[Group], session: Session, address: Address
    ) -> None:
        encrypt, base = srtp.sender(ssrc)
        for begin, end, size in groups:
            if size > MAX_PLAIN + TAG:
                for _ in range(begin, end):
                    session.unfit()
                continue
            parts: list[bytes] = []
            add = parts.append
            for index, head, payload in sent[begin:end]:
                add(head)
                add(encrypt((base ^ index).to_bytes(12, "big"), payload, head))
            self._together(session.port, parts, size, end - begin, address)
            session.traffic.packets_out += end - begin
            session.line.sent.octets += size * (end - begin - 1) + len(parts[-2]) + len(parts[-1])

    def _together(self, port: Way, group: list[bytes], size: int, count: int, address: Address) -> None:
        if not self._segmenting:
            port.send_pairs(group, address)
        elif not port.send_group(group, size, count, address):
            self._segmenting = False  # for good: what the kernel cannot do now it cannot do later

    def modes(self) -> dict[str, str]:
        """See the protocol."""
        return {"backend": self.name, "gso": "on" if self._segmenting else "off"}


def portions(out: Out) -> Iterator[Portion]:
    """Return everything as portions of single legs."""
    for item in out:
        if isinstance(item, Fan):
            yield from item.plans()
        else:
            yield item


def groups_of(sent: Sequence[Sent]) -> list[Group]:
    """Cut packets into groups of equal size with perhaps a shorter one at the end, of at most MAX_GROUP."""
    groups: list[Group] = []
    begin = size = 0
    for place, (_, head, payload) in enumerate(sent):
        total = len(head) + len(payload) + TAG
        if place == begin:
            size = total
        elif total < size <= MAX_PLAIN + TAG and place - begin < MAX_GROUP:
            groups.append((begin, place + 1, size))
            begin = place + 1
        elif total != size or place - begin == MAX_GROUP:
            groups.append((begin, place, size))
            begin, size = place, total
    if begin < len(sent):
        groups.append((begin, len(sent), size))
    return groups
