"""A province, a city and a real agent in a namespace where no media passes, by UDP or TCP, while HTTP and MQTT do.

Run under `unshare --net`: `python -m tests.support.dark_line DIR`. Writes one JSON object: what both gateways show in
place of the stream, what they say of it everywhere else, and what is left once media passes again.
"""

import asyncio
import contextlib
import io
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np

from edge_agent.app import Agent
from edge_agent.settings import parse as agent_settings
from gateway.app import Gateway
from gateway.media.machine import Kind
from gateway.web.auth import Role
from protocols.errors import NotFoundError
from protocols.testmark import decode
from tests.integration.gateway.test_api import client
from tests.support.bad_line import nft
from tests.support.chain import settings
from tests.support.until import until

NODE, STREAM = "320623-box", "320623/room"
PORTS = {"320000": 41000, "320600": 41001}
SNAPSHOT, CAMERA = f"/api/v1/cameras/{STREAM}/snapshot", f"/api/v1/cameras/{STREAM}"


def block() -> None:
    """Let nothing through to the media ports: not a datagram, not a TCP connection."""
    nft("add", "rule", "inet", "line", "in", "meta", "l4proto", "udp", "drop")
    for port in PORTS.values():
        nft("add", "rule", "inet", "line", "in", "tcp", "dport", str(port), "drop")


@contextlib.asynccontextmanager
async def chained(state: Path) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """Run a province and its city, whose media ports are known."""
    async with Gateway(settings("320000", state, media={"port": PORTS["320000"]})) as province:
        made = await province.enrolment.invite("320600", "test")
        upstream = {"url": province.base_url, "token": str(made.token)}
        async with Gateway(settings("320600", state, media={"port": PORTS["320600"]}, upstream=upstream)) as city:
            yield province, city


def agent_of(city: Gateway, token: str, state: Path) -> Agent:
    """Return a whole agent with a test card."""
    return Agent(
        agent_settings(
            {
                "node": {"id": NODE},
                "gateway": {"url": city.base_url, "enrolment_token": token},
                "state": {"dir": state, "quota_mb": 16, "ballast_mb": 1},
                "management": {"port": 0},
                "cameras": [{"name": "room", "title": "指挥大厅", "kind": "testcard", "audio": "tone"}],
            }
        )
    )


def marked(jpeg: bytes) -> tuple[str, float]:
    """Read from a picture's own mark the centre, and the age in seconds."""
    with av.open(io.BytesIO(jpeg), format="mjpeg") as container:
        picture: Any = np.asarray(next(container.decode(video=0)).to_ndarray(format="gray"))
    mark = decode(picture.shape[1], picture.shape[0], lambda x, y: float(picture[y, x]))
    return mark.code, mark.age_ms(round(time.time() * 1000)) / 1000


async def metric(gateway: Gateway, name: str) -> list[str]:
    """Return the lines of one metric."""
    async with httpx.AsyncClient(trust_env=False) as http:
        text = (await http.get(f"http://127.0.0.1:{gateway.management.port}/metrics")).text
    return [line for line in text.splitlines() if line.startswith(f"silian_{name}")]


async def until_shown(http: httpx.AsyncClient, after: datetime | None = None) -> httpx.Response:
    """Wait for a snapshot, taken later than `after`."""
    while True:
        answer = await http.get(SNAPSHOT)
        if answer.is_success and (
            after is None or datetime.fromisoformat(answer.headers["x-snapshot-taken-at"]) > after
        ):
            return answer
        await asyncio.sleep(0.1)


async def seen(gateway: Gateway, http: httpx.AsyncClient, after: datetime | None = None) -> dict[str, Any]:
    """Return what a gateway shows, and what it says to all who must not take that for the stream."""
    shown = await until_shown(http, after)
    code, true_age_s = marked(shown.content)
    age_s = int(shown.headers["x-snapshot-age-ms"]) / 1000
    camera = (await http.get(CAMERA)).json()
    try:
        await gateway.media.still(STREAM, timeout_s=0.3)
        proof = "picture"
    except NotFoundError:
        proof = "none"
    return {
        "code": code,
        "understated_s": true_age_s - age_s,
        "age_s": age_s,
        "taken_at": shown.headers["x-snapshot-taken-at"],
        "bytes": len(shown.content),
        "marked": camera["stream"]["snapshot"] is not None,
        "state": camera["stream"]["state"],
        "live": gateway.media.holding(Kind.ROLL_CALL).live(STREAM),
        "proof": proof,
        "judged": gateway.media.judging.judged(),
        "frame_age": await metric(gateway, "media_frame_age_seconds{"),
        "shown": await metric(gateway, "media_snapshot_streams"),
    }


async def dark(province: Gateway, city: Gateway, agent: Agent, found: dict[str, Any]) -> None:
    """Nothing passes: snapshots come, to both tiers, again and again."""
    block()
    async with client(province, Role.CALLER) as above, client(city, Role.CALLER) as here:
        province.media.want(STREAM, "test", Kind.VIEWER)
        async with asyncio.timeout(90):
            found["city"] = await seen(city, here)
            found["province"] = await seen(province, above)
            first = datetime.fromisoformat(found["province"]["taken_at"])
            found["again"] = await seen(province, above, after=first)
        found["while_dark"] = dict(agent.snapshots.counters)
        nft("flush", "chain", "inet", "line", "in")
        live = province.media.holding(Kind.VIEWER)
        await until(lambda: live.live(STREAM), 60)
        found["after"] = [(await http.get(SNAPSHOT)).status_code for http in (here, above)]
        camera = (await above.get(CAMERA)).json()
        found["after_marked"], found["after_state"] = camera["stream"]["snapshot"], camera["stream"]["state"]
        await until(lambda: not agent.publisher.dark())
        still = await province.media.still(STREAM, timeout_s=10)
        found["after_code"] = marked(still.jpeg)[0]
        sent = agent.snapshots.counters["sent"]
        main = agent.cameras[STREAM].layers[0]
        coded = main.encoded
        await until(lambda: main.encoded > coded + 120, 40)  # longer than from one snapshot to the next
        found["sent_after"] = agent.snapshots.counters["sent"] - sent
        found["city_counts"] = await metric(city, "media_snapshots_total")


async def main(state: Path) -> dict[str, Any]:
    """Run all of it."""
    found: dict[str, Any] = {}
    async with chained(state) as (province, city):
        token = str((await city.enrolment.invite(NODE, "test")).token)
        agent = agent_of(city, token, state / "agent")
        running = asyncio.ensure_future(agent.run())
        try:
            await agent.ready.wait()
            await until(lambda: province.registry.owner(STREAM) == NODE, 60)
            await dark(province, city, agent, found)
        finally:
            agent.stop()
            await running
    return found


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    nft("add", "table", "inet", "line")
    nft("add", "chain", "inet", "line", "in", "{ type filter hook input priority 0 ; }")
    print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
