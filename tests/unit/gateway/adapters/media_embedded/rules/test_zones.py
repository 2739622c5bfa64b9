"""Zones: who is told which address, and what is bound for it."""

import pytest

from gateway.adapters.media_embedded.rules import zones
from protocols.errors import ConfigError, LinkError

CITY = zones.read(
    ("203.0.113.7", "10.0.0.0/8=10.0.0.5", "10.1.0.0/16=10.1.0.5", "10.1.0.0/16 = 10.1.0.6", "fd00::/8=fd00::5")
)


@pytest.mark.parametrize(
    ("client", "told"),
    [
        ("198.51.100.1", ("203.0.113.7",)),
        ("10.2.3.4", ("10.0.0.5",)),
        ("10.1.3.4", ("10.1.0.5", "10.1.0.6")),
        ("::ffff:10.2.3.4", ("10.0.0.5",)),
        ("fd12::9", ("fd00::5",)),
        ("fd12::9%eth0", ("fd00::5",)),
        ("2001:db8::1", ("203.0.113.7",)),
        ("testclient", ("203.0.113.7",)),
        ("", ("203.0.113.7",)),
        (None, ("203.0.113.7",)),
    ],
)
def test_a_peer_is_told_the_addresses_of_its_smallest_zone(client: str | None, told: tuple[str, ...]) -> None:
    assert CITY.told_to(client) == told


def test_every_address_once() -> None:
    assert CITY.addresses == ("203.0.113.7", "10.0.0.5", "10.1.0.5", "10.1.0.6", "fd00::5")
    assert zones.read(("192.0.2.1", "10.0.0.0/8=192.0.2.1")).addresses == ("192.0.2.1",)


@pytest.mark.parametrize(
    "entries",
    [
        (),
        ("10.0.0.0/8=10.0.0.5",),
        ("city.example",),
        ("0.0.0.0",),
        ("::",),
        ("192.0.2.1", "10.0.0.1/8=10.0.0.5"),
        ("=",),
    ],
)
def test_what_cannot_be_is_refused(entries: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        zones.read(entries)


@pytest.mark.parametrize(
    ("addresses", "host", "bound"),
    [
        (("127.0.0.1",), None, ("127.0.0.1",)),
        (("127.0.0.1", "192.0.2.1"), None, ("0.0.0.0",)),
        (("192.0.2.1",), "192.0.2.1", ("192.0.2.1",)),
        (("203.0.113.1",), "0.0.0.0", ("0.0.0.0",)),
        (("127.0.0.1",), "127.0.0.1", ("127.0.0.1",)),
        (("127.0.0.1", "::1"), None, ("127.0.0.1", "::1")),
        (("127.0.0.1", "::1"), "127.0.0.1", ("127.0.0.1", "::1")),
        (("203.0.113.1", "2001:db8::1"), "0.0.0.0", ("0.0.0.0", "::")),
        (("203.0.113.1",), "::", ("0.0.0.0",)),
        (("2001:db8::1",), None, ("::",)),
        (("10.0.0.5",), "192.0.2.1", ("192.0.2.1",)),
    ],
)
def test_what_is_bound(addresses: tuple[str, ...], host: str | None, bound: tuple[str, ...]) -> None:
    assert zones.binding(addresses, host) == bound


@pytest.mark.parametrize(
    ("addresses", "host"),
    [(("192.0.2.1",), "127.0.0.1"), (("192.0.2.1",), "nowhere"), (("192.0.2.1", "2001:db8::1"), "192.0.2.1")],
)
def test_what_peers_could_not_reach_is_refused(addresses: tuple[str, ...], host: str | None) -> None:
    with pytest.raises(ConfigError):
        zones.binding(addresses, host)


@pytest.mark.parametrize(
    ("bound", "told"),
    [
        (("0.0.0.0", "::"), ("fd00::5",)),
        (("0.0.0.0",), ("fd00::5", "10.0.0.5")),
        (("::1",), ("::1",)),
        (("0.0.0.0",), ()),  # it told nothing: whether it is reached is seen when it is tried
    ],
)
def test_one_version_in_common_is_enough(bound: tuple[str, ...], told: tuple[str, ...]) -> None:
    zones.check_common(bound, told)


def test_no_version_in_common_is_said_with_what_to_do() -> None:
    with pytest.raises(
        LinkError, match=r"reached by IPv6 alone, and media has IPv4 alone here; add .* media\.advertise"
    ):
        zones.check_common(("0.0.0.0",), ("fd00::5", "fd00::6"))
