"""SRTP in all profiles, both directions; replays, forgeries and the nonce rule."""

import pytest

from gateway.adapters.media_embedded.rules import rtcp, rtp
from gateway.adapters.media_embedded.srtp import MAX_PLAIN, PROFILES, WINDOW, Keys, Srtp, SrtpError

PROFILE = list(PROFILES)


def pair(profile: bytes) -> tuple[Srtp, Srtp]:
    length = PROFILES[profile][1] + PROFILES[profile][2]
    one, other = bytes(range(length)), bytes(range(100, 100 + length))
    return Srtp(Keys(profile, one, other)), Srtp(Keys(profile, other, one))


def packet(sequence: int, payload: bytes = b"payload") -> bytes:
    return rtp.header(96, sequence & 0xFFFF, 0, 7, marker=False) + payload


@pytest.mark.parametrize("profile", PROFILE)
def test_both_directions_and_rtcp(profile: bytes) -> None:
    ours, theirs = pair(profile)
    assert theirs.unprotect(ours.protect(packet(1))) == packet(1)
    assert ours.unprotect(theirs.protect(packet(1))) == packet(1)
    compound = rtcp.picture_loss(1, 2)
    assert theirs.unprotect_rtcp(ours.protect_rtcp(compound)) == compound


@pytest.mark.parametrize("profile", PROFILE)
def test_over_the_wrap_with_reordering(profile: bytes) -> None:
    ours, theirs = pair(profile)
    secured = [ours.protect(packet(number)) for number in range(65400, 65700)]
    for at in range(0, 300, 2):
        assert theirs.unprotect(secured[at + 1]) == packet(65400 + at + 1)
        assert theirs.unprotect(secured[at]) == packet(65400 + at)


@pytest.mark.parametrize("profile", PROFILE)
def test_replays_and_forgeries_are_named(profile: bytes) -> None:
    ours, theirs = pair(profile)
    first = ours.protect(packet(1))
    theirs.unprotect(first)
    with pytest.raises(SrtpError) as caught:
        theirs.unprotect(first)
    assert caught.value.name == "replay"
    forged = bytearray(ours.protect(packet(2)))
    forged[-1] ^= 1
    with pytest.raises(SrtpError) as caught:
        theirs.unprotect(bytes(forged))
    assert caught.value.name == "spoofed"
    for number in range(3, WINDOW + 10):
        theirs.unprotect(ours.protect(packet(number)))
    with pytest.raises(SrtpError) as caught:
        theirs.unprotect(first)
    assert caught.value.name == "replay"


@pytest.mark.parametrize("profile", PROFILE)
def test_the_same_packet_gives_the_same_bytes_again(profile: bytes) -> None:
    ours, _ = pair(profile)
    first = ours.protect(packet(10))
    for number in range(11, 500):
        ours.protect(packet(number))
    assert ours.protect(packet(10)) == first


@pytest.mark.parametrize("data", [b"", b"\x80", bytes(12), bytes(MAX_PLAIN + 200), b"\x80\x60" + bytes(30)])
def test_rubbish_is_an_srtp_error(data: bytes) -> None:
    ours, _ = pair(PROFILE[0])
    for method in (ours.unprotect, ours.unprotect_rtcp):
        with pytest.raises(SrtpError):
            method(data)


def test_what_does_not_fit_a_datagram_is_refused() -> None:
    ours, _ = pair(PROFILE[0])
    with pytest.raises(SrtpError):
        ours.protect(packet(1, bytes(MAX_PLAIN)))
