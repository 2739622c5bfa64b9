"""DTLS 1.2 of one session over a memory BIO: no task, no await; `feed` takes datagrams, `send` gives them.

OpenSSL repeats a lost flight only after a second. So the last flight is kept and sent again, byte for byte, after
50, 150, 350 and 750 ms; and a server that is up answers a repeated flight of the client with its own last one.
"""

import asyncio
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL

from gateway.adapters.media_embedded.identity import fingerprint_of
from gateway.adapters.media_embedded.srtp import PROFILES, Keys

MTU = 1200
QUICK_S = (0.05, 0.1, 0.2, 0.4)
LAST_FLIGHT_EVERY_S = 0.02
DTLS_1_2 = 0xFEFD
ATTEMPTS = 3
"""A handshake that fails before it is up may be an attacker's doing: it begins anew, this often."""
_HANDSHAKE, _CHANGE_CIPHER = 22, 20
_CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
)


def context(certificate: str, key: str) -> SSL.Context:
    """Build the one context of all sessions. The peer's certificate is checked by its fingerprint, not by a CA."""
    made = SSL.Context(SSL.DTLS_METHOD)
    made.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU)
    made.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    made.use_certificate(x509.load_pem_x509_certificate(certificate.encode()))
    private = serialization.load_pem_private_key(key.encode(), None)
    made.use_privatekey(private)  # type: ignore[arg-type]  # the loader's union holds kinds that no PEM of ours has
    made.set_min_proto_version(DTLS_1_2)
    made.set_max_proto_version(DTLS_1_2)
    made.set_cipher_list(_CIPHERS)
    made.set_tlsext_use_srtp(b":".join(PROFILES))
    return made


def datagrams(stream: bytes, limit: int = MTU) -> list[bytes]:
    """Cut what the BIO gave at record borders and pack the records into datagrams of at most `limit` bytes."""
    out: list[bytes] = []
    current, at = b"", 0
    while at < len(stream):
        size = 13 + int.from_bytes(stream[at + 11 : at + 13], "big")
        if current and len(current) + size > limit:
            out.append(current)
            current = b""
        current += stream[at : at + size]
        at += size
    return [*out, current] if current else out


class Dtls:
    """One handshake and its end. `done(keys)` is called once when up, or with None when it failed or was closed.

    `again()` is called when the peer seems to have lost our last flight: what was sent since may be unread.
    """

    def __init__(
        self,
        shared: SSL.Context,
        *,
        server: bool,
        fingerprint: str,
        send: Callable[[bytes], None],
        done: Callable[[Keys | None], None],
        again: Callable[[], None],
    ) -> None:
        self._shared = shared
        self._server = server
        self._fingerprint = fingerprint.upper()
        self._send, self._done, self._again = send, done, again
        self._loop = asyncio.get_running_loop()
        self._slow: asyncio.TimerHandle | None = None
        self._quick: asyncio.TimerHandle | None = None
        self._flight: list[bytes] = []
        self._repeated_at = 0.0
        self._attempts = 0
        self.up = self.over = False
        self._link = self._connection()

    def _connection(self) -> SSL.Connection:
        self._attempts += 1
        link = SSL.Connection(self._shared)
        link.set_ciphertext_mtu(MTU)
        if self._server:
            link.set_accept_state()
        else:
            link.set_connect_state()
        return link

    def start(self) -> None:
        """Begin as client."""
        self._shake()

    def feed(self, data: bytes) -> None:
        """Take a datagram from an authenticated address."""
        if self.over:
            return
        self._link.bio_write(data)
        if self.up:
            self._after(data)
        else:
            self._shake()

    def _after(self, data: bytes) -> None:
        now = self._loop.time()
        if self._server and data[0] in {_HANDSHAKE, _CHANGE_CIPHER} and now - self._repeated_at > LAST_FLIGHT_EVERY_S:
            self._repeated_at = now
            for datagram in self._flight:
                self._send(datagram)
            self._again()
        try:
            self._link.recv(2048)
        except SSL.ZeroReturnError:
            self._finish(None)
        except SSL.Error:
            return  # nothing to read, or a record that is not the peer's

    def _shake(self) -> None:
        try:
            self._link.do_handshake()
        except SSL.WantReadError:
            self._flush()
            self._arm()
        except SSL.Error:
            self._flush()
            self._anew()
        else:
            self._flush()
            self._established()

    def _anew(self) -> None:
        if self._attempts >= ATTEMPTS:
            self._finish(None)
            return
        self._link = self._connection()
        self._flight = []
        if not self._server:
            self._shake()

    def _flush(self) -> None:
        stream = b""
        while True:
            try:
                stream += self._link.bio_read(65536)
            except SSL.Error:
                break
        if not stream:
            return
        flight = datagrams(stream)
        for datagram in flight:
            self._send(datagram)
        if not self.up:
            self._flight = flight
            self._cancel_quick()
            self._plan_quick(0)

    def _plan_quick(self, place: int) -> None:
        if place < len(QUICK_S):
            self._quick = self._loop.call_later(QUICK_S[place], self._repeat, place)

    def _repeat(self, place: int) -> None:
        if self.up or self.over:
            return
        for datagram in self._flight:
            self._send(datagram)
        self._plan_quick(place + 1)

    def _arm(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
        wait = self._link.DTLSv1_get_timeout()
        self._slow = None if wait is None else self._loop.call_later(wait, self._timeout)

    def _timeout(self) -> None:
        try:
            self._link.DTLSv1_handle_timeout()
        except SSL.Error:
            self._finish(None)
            return
        self._flush()
        self._arm()

    def _established(self) -> None:
        keys = self._keys()
        if keys is None:
            self._finish(None)
            return
        self.up = True
        self._cancel()
        self._done(keys)

    def _keys(self) -> Keys | None:
        certificate = self._link.get_peer_certificate(as_cryptography=True)
        if certificate is None or fingerprint_of(certificate) != self._fingerprint:
            return None
        profile = self._link.get_selected_srtp_profile()
        if profile not in PROFILES:
            return None
        _, key, salt = PROFILES[profile]
        material = self._link.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        return Keys(profile, server, client) if self._server else Keys(profile, client, server)

    def _finish(self, keys: None) -> None:
        if not self.over:
            self.over = True
            self._cancel()
            self._done(keys)

    def _cancel_quick(self) -> None:
        if self._quick is not None:
            self._quick.cancel()
            self._quick = None

    def _cancel(self) -> None:
        self._cancel_quick()
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def close(self) -> None:
        """Say goodbye (close_notify) and stop; `done` is not called."""
        self._cancel()
        if self.up and not self.over:
            try:
                self._link.shutdown()
            except SSL.Error:
                self.over = True
            self._flush()
        self.over = True
