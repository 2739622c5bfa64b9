"""Opening sockets on the loop itself: no thread is left behind when connecting is cancelled."""

import asyncio
import socket
import ssl


async def tcp(host: str, port: int) -> socket.socket:
    """Connect to the first address of `host` that answers, with TCP_NODELAY; raises OSError."""
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(f"{host} has no address")
    for family, kind, proto, _, where in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, proto)
        sock.settimeout(0)
        try:
            await loop.sock_connect(sock, where)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    raise failure


async def tls(sock: socket.socket, context: ssl.SSLContext, name: str) -> ssl.SSLSocket:
    """Secure an open socket and check the peer's certificate for `name`; raises ssl.SSLError and closes the socket."""
    try:
        secured = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
    except BaseException:
        sock.close()
        raise
    try:
        while True:
            try:
                secured.do_handshake()
            except ssl.SSLWantReadError:
                await _ready(secured, writing=False)
            except ssl.SSLWantWriteError:
                await _ready(secured, writing=True)
            else:
                return secured
    except BaseException:
        secured.close()
        raise


async def exchange(sock: socket.socket, packet: bytes, size: int) -> bytes:
    """Send a small packet and return the first bytes of the answer, at most `size`; empty when the peer hung up."""
    sock.send(packet)
    while True:
        try:
            return sock.recv(size)
        except (ssl.SSLWantReadError, BlockingIOError):
            await _ready(sock, writing=False)


async def _ready(sock: socket.socket, *, writing: bool) -> None:
    """Wait until the socket can be read or written."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    add(sock.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        remove(sock.fileno())
