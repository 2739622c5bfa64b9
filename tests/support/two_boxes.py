"""Two counties for tests that kill the gateway: real boxes with a test card each, in one process."""

import asyncio
import contextlib
import sys

import httpx

from gateway.bench.tiers import Program, free_ports
from protocols.errors import LinkError

SEEN, RUNG = "320612", "320623"
"""The first answers by itself, in the other's duty room a person does."""
PIN = "246810"
LIMIT_S = 120.0


async def until(condition):
    """Wait until a condition holds and return what it found; a gateway that is being started does not answer."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            with contextlib.suppress(LinkError, httpx.HTTPError):
                if found := await condition():
                    return found
            await asyncio.sleep(0.1)


class TwoBoxes:
    """`program` runs both; `management` and `pages` are ports on loopback, by centre; `audio` is the cameras' sound."""

    def __init__(self, folder, tiers, audio="none"):
        self.audio = audio
        self.management, self.pages = {}, {}
        files = [self._file(folder, code, tiers.passes[f"{code}-box"]) for code in (SEEN, RUNG)]
        command = [sys.executable, "-m", "edge_agent.host", *map(str, files)]
        self.program = Program("boxes", command, folder / "boxes.log")

    def _file(self, folder, code, given):
        self.management[code], self.pages[code] = free_ports(2)
        (folder / f"{code}.pin").write_text(PIN)
        file = folder / f"{code}-box.toml"
        file.write_text(f"""
node = {{ id = "{code}-box" }}
gateway = {{ url = "{given.url}", enrolment_token = "{given.token}" }}
state = {{ dir = "{folder}/{code}-box", quota_mb = 16, ballast_mb = 1 }}
answer = {{ policy = "{"ring" if code == RUNG else "auto"}", announce = "none" }}
answer_page = {{ enabled = {str(code == RUNG).lower()}, port = {self.pages[code]}, pin_file = "{folder}/{code}.pin" }}
management = {{ port = {self.management[code]} }}
cameras = [{{ name = "room", title = "指挥大厅", kind = "testcard", audio = "{self.audio}" }}]
""")
        return file
