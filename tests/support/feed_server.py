"""A real HTTP server of warnings for tests: ETag, conditional answers, and all kinds of trouble."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass
class FeedServer:
    """`pages` by path; `asked` notes path, whether the request was conditional, and the answer's status."""

    port: int = 0
    pages: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, bool, int]] = field(default_factory=list)
    status: dict[str, int] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def times(self, path: str, status: int = 200) -> int:
        return sum((where, code) == (path, status) for where, _, code in self.asked)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ", 2)[1]
            asked = dict(line.split(": ", 1) for line in head.lower().splitlines()[1:] if ": " in line)
            body = self.pages.get(path, b"")
            etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            status = self.status.get(path, 200 if path in self.pages else 404)
            if status == 200 and asked.get("if-none-match") == etag:
                status, body = 304, b""
            self.asked.append((path, "if-none-match" in asked, status))
            more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
            said = (
                f"HTTP/1.1 {status} x\r\nETag: {etag}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{more}\r\n"
            )
            writer.write(said.encode() + body)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def feed_server() -> AsyncIterator[FeedServer]:
    served = FeedServer()
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    async with server:
        yield served


def feed(*entries: tuple[str, str, str], updated: str = "2026-01-01T00:00:00Z") -> bytes:
    """Return an Atom feed of (id, updated, what stands inside the entry)."""
    said = "".join(f"<entry><id>{id_}</id><updated>{at}</updated>{inside}</entry>" for id_, at, inside in entries)
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><updated>{updated}</updated>{said}</feed>'.encode()


def link(url: str, kind: str = "application/cap+xml") -> str:
    return f'<link type="{kind}" href="{url}"/>'
