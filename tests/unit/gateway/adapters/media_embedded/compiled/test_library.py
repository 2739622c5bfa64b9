"""No argument makes the C code read or write where it must not: any bytes, any numbers."""

import ctypes
import errno
import os
import shutil
import socket
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.media_embedded.compiled import build, library
from gateway.adapters.media_embedded.compiled.build import CompiledError
from gateway.adapters.media_embedded.compiled.library import ADDRESS, LEG, MAX_TAIL, PACKET, ROW, Library


def own_library() -> Library:
    """Load a copy: these tests use any numbers, and those of another test's sessions must not be among them."""
    path = Path(os.environ["PACKETS"]) if "PACKETS" in os.environ else build.ensure(build.HERE)
    with tempfile.TemporaryDirectory() as folder:
        return Library(Path(shutil.copy(path, folder)))


LIBRARY = own_library()
KEYS = [(bytes(16), 1), (bytes(16), 2), (bytes(16), 3)]
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([-(2**31), 2**31 - 1, 16383, 16384, 70]))
TAIL = bytes(4)


WIDE = 2**63 - 1


def leg(
    session: int, to: bytes = b"", *, tail: int = 4, size: int | None = None, step: int = 0, counted: int = 0
) -> bytes:
    return LEG.pack(step, WIDE, 0.5, session, 0, counted, 0x80, 96, tail, len(to) if size is None else size, TAIL, to)


@settings(deadline=None)
@given(NUMBERS, st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=9))
def test_reading_checks_every_length(session: int, data: bytes, lengths: list[int]) -> None:
    number = LIBRARY.open(KEYS)
    fits = sum(lengths) <= len(data)
    try:
        if session == number and fits:
            assert len(list(LIBRARY.read(session, data, lengths)[1])) == len(lengths)
        elif not fits:
            with pytest.raises(AssertionError):
                LIBRARY.read(number, data, lengths)
        found = LIBRARY.read_control(session, data)
        assert isinstance(found, int)
    finally:
        LIBRARY.close(number)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2000)), max_size=5),
    st.binary(max_size=2000),
    st.lists(
        st.tuples(NUMBERS, st.integers(0, 255), st.integers(0, 255), st.integers(-(2**63), 2**63 - 1)), max_size=4
    ),
    st.booleans(),
)
def test_sending_checks_every_offset(
    rows: list[tuple[int, int, int]], payloads: bytes, legs: list[tuple[int, int, int, int]], segmenting: bool
) -> None:
    number = LIBRARY.open(KEYS)
    packed = b"".join(ROW.pack(n, 0, at % 2100 if at < 2**31 else at, size, 0) for n, at, size in rows)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as away:
        away.settimeout(0)
        spelled = [
            leg(n, bytes(ADDRESS), tail=tail, size=size, step=step, counted=step & 1) for n, tail, size, step in legs
        ]
        try:
            LIBRARY.send(away.fileno(), (packed, payloads, len(rows)), spelled, segmenting=segmenting)
        except AssertionError:
            pass
        finally:
            LIBRARY.close(number)


@given(NUMBERS)
def test_ending_what_does_not_exist_is_no_error(number: int) -> None:
    LIBRARY.close(number)
    LIBRARY.close(number)


def test_only_keys_of_the_two_lengths_are_taken() -> None:
    assert LIBRARY.open([(bytes(24), 0)] * 3) == -1
    with pytest.raises(ValueError, match="equally long"):
        LIBRARY.open([(bytes(16), 0), (bytes(32), 0), (bytes(16), 0)])


def test_sessions_are_bounded() -> None:
    opened = []
    while (number := LIBRARY.open(KEYS)) >= 0:
        opened.append(number)
    assert 4096 < len(opened) <= 16384, "more than a worker takes"
    for number in opened:
        LIBRARY.close(number)
    assert LIBRARY.open(KEYS) == opened[0]
    LIBRARY.close(opened[0])


def test_what_the_socket_does_not_take_is_counted() -> None:
    """A local datagram socket whose reader sleeps is full after some packets; one that is closed takes none."""
    number = LIBRARY.open(KEYS)
    rows = (b"".join(ROW.pack(n, 0, 0, 3, 0) for n in range(1000)), b"abc", 1000)
    name = b"\0packets-%d" % os.getpid()
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one,
    ):
        ear.bind(name)
        one.settimeout(0)
        to = struct.pack("=H", socket.AF_UNIX) + name
        full, unsent, segmenting = LIBRARY.send(one.fileno(), rows, [leg(number, to)], segmenting=False)
        assert (0 < full < 1000, unsent, segmenting) == (True, 0, False)
        ear.settimeout(5.0)
        got = [ear.recv(4096) for _ in range(1000 - full)]
        assert len(set(got)) == len(got), "each has its own number"
        full, unsent, _ = LIBRARY.send(-1, rows, [leg(number, to)], segmenting=True)
        assert (full, unsent) == (0, 1000)
    LIBRARY.close(number)


def test_receiving_says_why_not() -> None:
    assert LIBRARY.receive(-1, 0.0) == -errno.EBADF
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        assert LIBRARY.receive(ear.fileno(), 0.0) == -errno.EAGAIN


def test_a_library_of_another_source_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = tmp_path / "nothing.so"
    nothing.write_bytes(b"no library")
    with pytest.raises(CompiledError, match=r"nothing\.so does not load"):
        Library(nothing)
    monkeypatch.setattr(library, "_LAYOUT", (1, 2, 3, 4, 5, 6))
    with pytest.raises(CompiledError, match="other layouts"):
        Library(build.ensure(build.HERE))
    monkeypatch.undo()
    monkeypatch.setattr(library, "CRYPTO", "libnothing.so.3")
    with pytest.raises(CompiledError, match="libnothing"):
        Library(build.ensure(build.HERE))


def test_structs_are_what_the_compiler_makes_of_them() -> None:
    assert (PACKET.size, ROW.size, LEG.size) == (32, 24, 136)
    assert ctypes.sizeof(ctypes.c_void_p) == 8
    assert MAX_TAIL >= 4 + 4 + 17 + 2 + 3 + 3, "SSRC, head of the block, mid, loudness, transport-wide number, padding"
