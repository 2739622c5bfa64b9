"""The sockets of one upward session: one for each IP version, until it is known which of them reaches the peer."""

from collections.abc import Callable, Sequence
from typing import Self

from gateway.adapters.media_embedded.rules.stun import Address
from gateway.adapters.media_embedded.socket_port import SocketPort

NUMBERS_TRIED = 8


class Doors:
    """A `Way` that sends by the socket of the address's version. What has answered is reached by that socket alone."""

    def __init__(self, ports: Sequence[SocketPort]) -> None:
        self.ports = tuple(ports)
        self.number: int = ports[0].number

    @classmethod
    def opened(cls, hosts: Sequence[str], port: Callable[[str, int], SocketPort]) -> Self:
        """Bind all hosts to one number that is free at all of them; raises OSError where there is none."""
        for left in reversed(range(NUMBERS_TRIED)):
            ports = [port(hosts[0], 0)]
            try:
                ports.extend(port(host, ports[0].number) for host in hosts[1:])
            except OSError:
                for one in ports:
                    one.close()
                if not left:
                    raise
            else:
                return cls(ports)
        raise AssertionError("the last attempt returns or raises")

    @property
    def way(self) -> "Doors | SocketPort":
        """What a session is given: the socket itself where there is one."""
        return self if len(self.ports) > 1 else self.ports[0]

    def close(self) -> None:
        """Close them all."""
        for port in self.ports:
            port.close()

    def _to(self, address: Address) -> SocketPort:
        six = ":" in address[0]
        return next((port for port in self.ports if port.six is six), self.ports[0])

    def send(self, data: bytes, to: Address) -> None:
        """See `way.Way`."""
        self._to(to).send(data, to)

    def send_group(self, parts: list[bytes], size: int, count: int, to: Address) -> bool:
        """See `way.Way`."""
        return self._to(to).send_group(parts, size, count, to)

    def send_pairs(self, parts: list[bytes], to: Address) -> None:
        """See `way.Way`."""
        self._to(to).send_pairs(parts, to)

    def prove(self, address: Address) -> None:
        """See `way.Way`."""
        self._to(address).prove(address)

    def release(self, address: Address) -> None:
        """See `way.Way`."""
        self._to(address).release(address)
