"""aiortc's MediaRelay as a peer in the bench: it decodes what is published and encodes it again for every viewer."""

import argparse
import asyncio

import aioice.ice
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs import h264, vpx
from aiortc.contrib.media import MediaRelay

from gateway.bench.child import Answer, serve
from gateway.bench.traffic import Recipe


class Host:
    """Streams by name, each with its relay."""

    def __init__(self) -> None:
        self._tracks: dict[str, MediaStreamTrack] = {}
        self._relays: dict[str, MediaRelay] = {}
        self._connections: list[RTCPeerConnection] = []

    def _connection(self) -> RTCPeerConnection:
        made = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connections.append(made)
        return made

    async def publish(self, stream: str, sdp: str) -> Answer:
        """Take a publisher."""
        connection = self._connection()
        connection.on("track", lambda track: self._tracks.__setitem__(stream, track))
        await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        return await self._answer(connection)

    async def view(self, stream: str, sdp: str) -> Answer:
        """Take a viewer."""
        connection = self._connection()
        await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        relay = self._relays.setdefault(stream, MediaRelay())
        connection.addTrack(relay.subscribe(self._tracks[stream]))
        return await self._answer(connection)

    @staticmethod
    async def _answer(connection: RTCPeerConnection) -> Answer:
        await connection.setLocalDescription(await connection.createAnswer())
        return {"sdp": connection.localDescription.sdp}


def main() -> None:
    """Run as `python -m gateway.bench.host_relay --host H`."""
    parser = argparse.ArgumentParser(description="MediaRelay under measurement; started by the bench")
    parser.add_argument("--host", required=True)
    host = parser.parse_args().host
    # aioice gathers every address but loopback by itself; here it shall have the one that we measure at.
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [host]
    vpx.DEFAULT_BITRATE = h264.DEFAULT_BITRATE = Recipe().bitrate  # as much as comes in: else it sends a third of it

    async def run() -> None:
        work = Host()
        await serve({"publish": work.publish, "view": work.view})

    asyncio.run(run())


if __name__ == "__main__":
    main()
