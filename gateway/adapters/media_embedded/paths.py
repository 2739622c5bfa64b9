"""How datagrams of legs get onto the wire: the seam between the `reference` backend and faster ones.

Given the same input, every path must send the same datagrams.
"""

from collections.abc import Mapping
from typing import Protocol

from gateway.adapters.media_embedded.rules.strand import Out
from gateway.adapters.media_embedded.session import Session


class PacketPath(Protocol):
    """Sends what the rules return."""

    name: str

    def send(self, out: Out, sessions: Mapping[str, Session]) -> None:
        """Encrypt each packet for its session and send it; packets of a session that is gone are dropped."""


class ReferencePath:
    """One libsrtp call and one sendto per datagram."""

    name = "reference"

    def send(self, out: Out, sessions: Mapping[str, Session]) -> None:
        """See the protocol."""
        for owner, _, sent in out:
            session = sessions.get(owner)
            if session is not None:
                for _, head, payload in sent:
                    session.send_rtp(head + payload)


PATHS: dict[str, type[ReferencePath]] = {"reference": ReferencePath}
