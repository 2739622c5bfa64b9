"""Decryption in C says of every packet what the one in Python says: the same packets, the same counters."""

import gc
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.media_embedded.compiled import build
from gateway.adapters.media_embedded.compiled.library import Library
from gateway.adapters.media_embedded.compiled.srtp import CompiledSrtp
from gateway.adapters.media_embedded.rules import rtcp, rtp
from gateway.adapters.media_embedded.srtp import PROFILES, WINDOW, Keys, Secured, SrtpError
from gateway.adapters.media_embedded.srtp_gcm import GCM, MAX_SOURCES, TAG, GcmSrtp, key_pair

LIBRARY = Library(Path(os.environ["PACKETS"]) if "PACKETS" in os.environ else build.ensure(build.HERE))
STEPS = st.sampled_from(
    [-WINDOW - 1, -WINDOW, -WINDOW + 1, -65, -2, -1, 0, 1, 1, 1, 2, 64, 1000, 1023, 1024, 1025, 40_000]
)
FORMS = st.sampled_from(["plain", "plain", "contributors", "extension", "padding", "bad padding", "empty"])
HARM = st.sampled_from(["", "", "", "", "", "flipped", "cut", "short", "tag cut off", "again"])


def trio(profile: bytes) -> tuple[GcmSrtp, GcmSrtp, CompiledSrtp]:
    """Return a sender, and two that read it: in Python and in C."""
    length = PROFILES[profile][1] + PROFILES[profile][2]
    one, other = bytes(range(length)), bytes(range(100, 100 + length))
    keys = Keys(profile, other, one)
    return GcmSrtp.of(Keys(profile, one, other)), GcmSrtp.of(keys), CompiledSrtp(*key_pair(keys), LIBRARY)


def plain(sequence: int, ssrc: int, form: str) -> bytes:
    head = rtp.header(96, sequence & 0xFFFF, 0xFFFFFFFF - sequence, ssrc, marker=sequence % 2 == 0)
    first = bytes([head[0]])
    match form:
        case "contributors":
            return bytes([head[0] | 2]) + head[1:] + bytes(8) + b"payload"
        case "extension":
            return head[:0] + bytes([head[0] | 0x10]) + head[1:] + b"\xbe\xde\0\1\x10A\0\0" + b"payload"
        case "padding":
            return bytes([head[0] | 0x20]) + head[1:] + b"payload\0\0\3"
        case "bad padding":
            return bytes([head[0] | 0x20]) + head[1:] + b"\xc8"
        case "empty":
            return first + head[1:]
    return head + b"payload" * (sequence % 150)


def harmed(sealed: bytes, harm: str) -> list[bytes]:
    match harm:
        case "flipped":
            return [sealed[:-1] + bytes([sealed[-1] ^ 1])]
        case "cut":
            return [sealed[:13]]
        case "short":
            return [sealed[:7]]
        case "tag cut off":
            return [sealed[: 12 + TAG - 1]]
        case "again":
            return [sealed, sealed]
    return [sealed]


def read(ours: Secured, datagrams: list[bytes]) -> tuple[list[rtp.Packet], dict[str, int]]:
    dropped: Counter[str] = Counter()
    return ours.read(datagrams, lambda name: dropped.update([name])), dict(dropped)


@pytest.mark.parametrize("profile", sorted(GCM))
@settings(deadline=None)
@given(
    st.integers(0, 0xFFFF),
    st.lists(st.tuples(STEPS, st.integers(7, 9), FORMS, HARM), max_size=60),
    st.lists(st.integers(1, 9), max_size=9),
)
def test_packets_are_read_alike(
    profile: bytes, first: int, script: list[tuple[int, int, str, str]], portions: list[int]
) -> None:
    sender, python, compiled = trio(profile)
    wire: list[bytes] = []
    number = first
    for step, ssrc, form, harm in script:
        number = max(0, number + step)
        packet = plain(number, ssrc, form)
        at = 12 + (8 if form in {"contributors", "extension"} else 0)
        encrypt, base = sender.sender(ssrc)
        sealed = packet[:at] + encrypt((base ^ number).to_bytes(12, "big"), packet[at:], packet[:at])
        wire += harmed(sealed, harm)
    while wire:
        portion = portions.pop() if portions else len(wire)
        some, wire = wire[:portion], wire[portion:]
        assert read(compiled, some) == read(python, some)
    assert read(compiled, []) == ([], {})


@settings(deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=6))
def test_any_bytes_are_counted_alike(datagrams: list[bytes]) -> None:
    _, python, compiled = trio(b"SRTP_AEAD_AES_128_GCM")
    assert read(compiled, datagrams) == read(python, datagrams)


def test_a_peer_has_a_bounded_number_of_sources() -> None:
    sender, python, compiled = trio(b"SRTP_AEAD_AES_128_GCM")
    wire = [sender.protect(plain(1, ssrc, "plain")) for ssrc in range(MAX_SOURCES + 3)]
    assert read(compiled, wire) == read(python, wire)
    assert read(compiled, wire[-1:])[1] == {"too_many_sources": 1}


def test_a_portion_may_be_larger_than_the_first_buffer() -> None:
    sender, _, compiled = trio(b"SRTP_AEAD_AES_128_GCM")
    packets = [rtp.header(96, n, 0, 7, marker=False) + bytes([n % 251]) * 60_000 for n in range(70)]
    got, dropped = read(compiled, [sender.protect(packet) for packet in packets])
    assert got == [rtp.parse(packet) for packet in packets]
    assert dropped == {}


@pytest.mark.parametrize("profile", sorted(GCM))
@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), HARM), max_size=30))
def test_control_packets_are_read_alike(profile: bytes, script: list[tuple[int, str]]) -> None:
    sender, python, compiled = trio(profile)
    sealed = [sender.protect_rtcp(rtcp.picture_loss(1 + n % 2, 2)) for n in range(13)]
    for which, harm in script:
        for data in [*harmed(sealed[which], harm), sealed[which][:-4] + b"\0\0\0\1"]:
            assert control(compiled, data) == control(python, data)


@given(st.binary(max_size=80))
def test_any_control_bytes_are_refused_alike(data: bytes) -> None:
    _, python, compiled = trio(b"SRTP_AEAD_AES_256_GCM")
    assert control(compiled, data) == control(python, data)


def control(ours: Secured, data: bytes) -> bytes | str:
    try:
        return ours.unprotect_rtcp(data)
    except SrtpError as error:
        return error.name


def test_numbers_of_sessions_are_used_again() -> None:
    gc.collect()
    _, _, first = trio(b"SRTP_AEAD_AES_128_GCM")
    number = first.number
    del first
    again = trio(b"SRTP_AEAD_AES_128_GCM")[2]
    assert again.number == number
