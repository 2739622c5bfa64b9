"""Which of our addresses a peer is told, by the network that it comes from, and what must be bound for that."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from protocols.errors import ConfigError, LinkError

Ip = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Zones:
    """Advertised addresses: `zoned` ones for peers of a network, `plain` ones for everybody else."""

    plain: tuple[str, ...]
    zoned: tuple[tuple[Network, str], ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address, each once."""
        return tuple(dict.fromkeys((*self.plain, *(address for _, address in self.zoned))))

    def told_to(self, client: str | None) -> tuple[str, ...]:
        """Return the addresses for a peer whose request came from `client`; of nested zones the smallest counts."""
        peer = _peer(client)
        fitting = [one for one in self.zoned if peer is not None and peer in one[0]]
        longest = max((network.prefixlen for network, _ in fitting), default=0)
        return tuple(address for network, address in fitting if network.prefixlen == longest) or self.plain


def _peer(client: str | None) -> Ip | None:
    try:
        found = ip_address((client or "").partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def read(entries: tuple[str, ...]) -> Zones:
    """Read entries of the form `address` or `network=address`; raises ConfigError naming the one that cannot be."""
    plain: list[str] = []
    zoned: list[tuple[Network, str]] = []
    for entry in entries:
        network, equals, address = (part.strip() for part in entry.rpartition("="))
        told = str(_address(address))
        if equals:
            zoned.append((_network(network, entry), told))
        else:
            plain.append(told)
    if not plain:
        raise ConfigError("media needs an address to advertise to peers of no zone: add one without a network")
    return Zones(tuple(plain), tuple(zoned))


def _network(text: str, entry: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ConfigError(f"media cannot use {entry!r}: write network=address, as 10.1.0.0/16=10.1.0.5") from None


def _address(text: str) -> Ip:
    try:
        found = ip_address(text)
    except ValueError:
        raise ConfigError(f"media cannot use {text!r}: give addresses, not names") from None
    if found.is_unspecified:
        raise ConfigError(f"media cannot advertise {text}: name the addresses that peers reach")
    return found


def binding(addresses: tuple[str, ...], host: str | None = None) -> tuple[str, ...]:
    """Return what to bind so that peers reach these addresses, one per IP version, IPv4 first.

    `host` names it, else loopback alone binds loopback alone and anything else binds every interface. Raises
    ConfigError where peers could not reach an advertised address.
    """
    told = [_address(address) for address in addresses]
    loopback = all(one.is_loopback for one in told)
    wished = None if host is None else _host(host)
    if wished is not None and wished.is_loopback and not loopback:
        raise ConfigError(f"media listens on {host} alone, so peers cannot reach {', '.join(addresses)}")
    found = []
    for version, everywhere in ((4, "0.0.0.0"), (6, "::")):  # noqa: S104 - bound only where it was asked for
        own = {str(one) for one in told if one.version == version}
        if wished is not None and wished.version == version and (own or not wished.is_unspecified):
            found.append(str(wished))
        elif own and (wished is None or wished.is_unspecified or wished.is_loopback):
            found.append(own.pop() if loopback and len(own) == 1 else everywhere)
        elif own:
            raise ConfigError(f"media listens on {host} alone, so peers cannot reach {', '.join(sorted(own))}")
    return tuple(found)


def check_common(bound: Sequence[str], told: Sequence[str]) -> None:
    """Raise LinkError where none of the addresses that a peer told can be reached from what is bound here."""
    own, their = ({f"IPv{ip_address(one).version}" for one in addresses} for addresses in (bound, told))
    if their and not own & their:
        raise LinkError(
            f"the other gateway is reached by {their.pop()} alone, and media has {own.pop()} alone here; "
            "add an address of the same version to media.advertise of either"
        )


def _host(text: str) -> Ip:
    try:
        return ip_address(text)
    except ValueError:
        raise ConfigError(f"media cannot listen on {text!r}: give an address") from None
