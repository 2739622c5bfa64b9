"""AES-GCM SRTP of our own: against libsrtp in both directions, against the vectors of the RFCs, and against abuse."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded import srtp_gcm
from gateway.adapters.media_embedded.rules import rtcp, rtp
from gateway.adapters.media_embedded.srtp import PROFILES, WINDOW, Keys, Srtp, SrtpError
from gateway.adapters.media_embedded.srtp_gcm import GcmSrtp, SessionKeys, session_keys

GCM = sorted(srtp_gcm.GCM)
QUID = int.from_bytes(b"Quid pro quo", "big")


def pair(profile: bytes) -> tuple[GcmSrtp, Srtp]:
    """Return ours, and theirs on libsrtp."""
    length = PROFILES[profile][1] + PROFILES[profile][2]
    one, other = bytes(range(length)), bytes(range(100, 100 + length))
    return GcmSrtp.of(Keys(profile, one, other)), Srtp(Keys(profile, other, one))


def packet(sequence: int, payload: bytes = b"payload", *, ssrc: int = 7) -> bytes:
    return rtp.header(96, sequence & 0xFFFF, 0, ssrc, marker=False) + payload


def read(ours: GcmSrtp, *datagrams: bytes) -> tuple[list[rtp.Packet], dict[str, int]]:
    dropped: Counter[str] = Counter()
    return ours.read(datagrams, lambda name: dropped.update([name])), dict(dropped)


@pytest.mark.parametrize("profile", GCM)
def test_libsrtp_reads_ours_and_we_read_libsrtps(profile: bytes) -> None:
    ours, theirs = pair(profile)
    assert theirs.unprotect(ours.protect(packet(1))) == packet(1)
    assert read(ours, theirs.protect(packet(1))) == ([rtp.parse(packet(1))], {})
    compound = rtcp.picture_loss(1, 2)
    for _ in range(3):
        assert theirs.unprotect_rtcp(ours.protect_rtcp(compound)) == compound
        assert ours.unprotect_rtcp(theirs.protect_rtcp(compound)) == compound


@pytest.mark.parametrize("profile", GCM)
def test_the_same_bytes_as_libsrtp_over_the_wrap(profile: bytes) -> None:
    ours, theirs = pair(profile)
    length = PROFILES[profile][1] + PROFILES[profile][2]
    same = Srtp(Keys(profile, bytes(range(length)), bytes(length)))
    encrypt, base = ours.sender(7)
    for number in [*range(65530, 65540), 65535]:
        plain = packet(number)
        sealed = plain[:12] + encrypt((base ^ number).to_bytes(12, "big"), plain[12:], plain[:12])
        assert sealed == ours.protect(plain) == same.protect(plain)
    compound = rtcp.picture_loss(1, 2)
    assert ours.protect_rtcp(compound) == same.protect_rtcp(compound)
    assert theirs.unprotect_rtcp(ours.protect_rtcp(compound)) == compound


@pytest.mark.parametrize("profile", GCM)
def test_over_the_wrap_with_reordering(profile: bytes) -> None:
    ours, theirs = pair(profile)
    secured = [theirs.protect(packet(number)) for number in range(65400, 65700)]
    for at in range(0, 300, 2):
        got, dropped = read(ours, secured[at + 1], secured[at], secured[at])
        assert [one.sequence for one in got] == [(65400 + at + 1) & 0xFFFF, (65400 + at) & 0xFFFF]
        assert dropped == {"replay": 1}


def test_replays_and_forgeries_are_named_and_move_nothing() -> None:
    ours, theirs = pair(GCM[0])
    first = theirs.protect(packet(1))
    forged = bytearray(pair(GCM[0])[1].protect(packet(30000)))
    forged[-1] ^= 1
    foreign = packet(5, bytes(40), ssrc=99)
    assert read(ours, first, first, bytes(forged), foreign)[1] == {"replay": 1, "spoofed": 2}
    assert len(read(ours, *(theirs.protect(packet(number)) for number in range(2, WINDOW + 3)))[0]) == WINDOW + 1
    assert read(ours, first) == ([], {"replay": 1}), "older than the window"


@given(st.lists(st.integers(0, 3 * WINDOW), max_size=60), st.integers(0, 0xFFFF))
def test_the_window_takes_each_index_once(steps: list[int], start: int) -> None:
    window, taken = srtp_gcm.Replay(start), set()
    for step in steps:
        index = window.index((start + step) & 0xFFFF)
        if window.fresh(index):
            assert index not in taken
            window.take(index)
            taken.add(index)
        else:
            assert index in taken or index <= window.highest - WINDOW


def test_contributors_padding_and_extensions() -> None:
    ours, theirs = pair(GCM[1])
    block = rtp.extension_block({3: b"v0"})
    head = bytearray(rtp.header(96, 9, 8, 7, marker=True, block=block))
    head[0] |= 0x20 | 2
    plain = bytes(head[:12]) + bytes(8) + bytes(head[12:]) + b"inside" + b"\0\0\3"
    (got,), dropped = read(ours, theirs.protect(plain))
    assert (got.payload, got.extensions, got.marker, dropped) == (b"inside", {3: b"v0"}, True, {})
    assert got == rtp.parse(plain)
    assert theirs.unprotect(ours.protect(plain)) == plain


def test_padding_that_cannot_be_is_malformed() -> None:
    ours, theirs = pair(GCM[0])
    for number, tail in enumerate([b"\0", b"x\x09"]):
        plain = packet(number, tail)
        assert read(ours, theirs.protect(bytes([plain[0] | 0x20]) + plain[1:])) == ([], {"malformed": 1})


@pytest.mark.parametrize(
    "data", [b"", b"\x80", bytes(12), b"\x80\x60" + bytes(30), b"\x9f" + bytes(12), b"\x8f" + bytes(30)]
)
def test_rubbish_is_counted_or_an_srtp_error(data: bytes) -> None:
    ours, _ = pair(GCM[0])
    got, dropped = read(ours, data)
    assert (got, sum(dropped.values())) == ([], 1)
    with pytest.raises(SrtpError):
        ours.unprotect_rtcp(data)
    if len(data) < rtp.HEADER:
        with pytest.raises(SrtpError):
            ours.protect(data)


@given(st.binary(max_size=80))
def test_any_bytes_are_counted(data: bytes) -> None:
    ours, _ = pair(GCM[0])
    assert sum(read(ours, b"\x90\x60" + data, b"\xb1\x60" + data)[1].values()) == 2
    with pytest.raises(SrtpError):
        ours.unprotect_rtcp(b"\x80\xc8" + data)


def test_control_packets_are_not_repeated_forged_or_bare() -> None:
    ours, theirs = pair(GCM[0])
    sealed = theirs.protect_rtcp(rtcp.picture_loss(1, 2))
    ours.unprotect_rtcp(sealed)
    with pytest.raises(SrtpError, match="replay"):
        ours.unprotect_rtcp(sealed)
    again = bytearray(theirs.protect_rtcp(rtcp.picture_loss(1, 2)))
    again[-5] ^= 1
    with pytest.raises(SrtpError, match="spoofed"):
        ours.unprotect_rtcp(bytes(again))
    again[-4] &= 0x7F
    with pytest.raises(SrtpError, match="srtp"):
        ours.unprotect_rtcp(bytes(again))


def test_a_peer_has_a_bounded_number_of_sources() -> None:
    ours, theirs = pair(GCM[0])
    datagrams = [theirs.protect(packet(1, ssrc=number)) for number in range(srtp_gcm.MAX_SOURCES + 1)]
    got, dropped = read(ours, *datagrams)
    assert (len(got), dropped) == (srtp_gcm.MAX_SOURCES, {"too_many_sources": 1})


def test_key_derivation_as_in_rfc_3711_appendix_b3() -> None:
    master = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139" + "0EC675AD498AFEEBB6960B3AABE6")
    keys = session_keys(master, 16, 14)
    assert keys.key.hex() == "c61e7a93744f39ee10734afe3ff7a087"
    assert keys.salt == 0x30CBBC08863D8C85D49DB34A9AE1


@pytest.mark.parametrize(
    ("key", "sealed"),
    [
        (
            bytes(range(16)),
            "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833"
            "899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            bytes(range(32)),
            "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b"
            "7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ],
)  # fmt: skip
def test_packets_as_in_rfc_7714_section_16(key: bytes, sealed: str) -> None:
    keys = SessionKeys(key, QUID, key, QUID)
    both = GcmSrtp(keys, keys)
    plain = bytes.fromhex("8040f17b8041f8d35501a0b2") + b"Gallia est omnis divisa in partes tres"
    assert both.protect(plain) == plain[:12] + bytes.fromhex(sealed)
    assert read(both, both.protect(plain))[0] == [rtp.parse(plain)]


def test_control_as_in_rfc_7714_section_17() -> None:
    keys = SessionKeys(bytes(range(16)), QUID, bytes(range(16)), QUID)
    plain = bytes.fromhex("81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61" + "deadbeef" * 5)
    sealed = bytes.fromhex(
        "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded"
        "0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4"
    )
    assert GcmSrtp(keys, keys).unprotect_rtcp(sealed) == plain
