"""Two replicas on one PostgreSQL: deadlines fire once though the leader dies, and after it the database."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from protocols.envelope import Lane
from tests.integration.gateway.test_replicas import alarm_keys, eventually
from tests.integration.test_link import lower_end, settled
from tests.support.events import alarm
from tests.support.postgres import Cluster
from tests.support.replicas import TwoReplicas

pytestmark = [pytest.mark.external, pytest.mark.slow, pytest.mark.timeout(400)]
NODE = "320623-box"
STEPS = (0, 15, 40)


@contextmanager
def sms_gateway() -> Iterator[tuple[str, list[str]]]:
    """An SMS gateway that takes every message and remembers its id."""
    taken: list[str] = []

    class Take(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["id"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Take)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", taken
    server.shutdown()
    thread.join()
    server.server_close()


def chain() -> dict[str, object]:
    target = {"role": "duty_officer", "channels": ["sms"]}
    steps = [{"after_s": after, "targets": [target]} for after in STEPS]
    return {
        "contacts": [{"name": "张三", "role": "duty_officer", "phone": "13900000000"}],
        "own": {"1": {"steps": steps}},
    }


async def test_deadlines_fire_once_though_leader_and_database_are_killed(tmp_path: Path) -> None:
    cluster = Cluster().start()
    try:
        await cluster.make_template()
        with sms_gateway() as (url, taken):
            async with TwoReplicas(tmp_path, cluster=cluster, more=f'[notify]\nsms_url = "{url}"\n') as gateway:
                await _told_three_times(tmp_path, gateway, cluster, taken)
    finally:
        cluster.remove()


async def _told_three_times(folder: Path, gateway: TwoReplicas, cluster: Cluster, taken: list[str]) -> None:
    leader, follower = await gateway.leader()
    async with gateway.client(follower) as client, lower_end(folder, gateway.broker.address(), NODE, "box.db") as box:
        (await client.put("/api/v1/escalation/chain", json={"base": 0, "chain": chain()})).raise_for_status()
        said = []

        async def say(number: int, severity: int) -> None:
            event = alarm(number, source=NODE)
            await box.spool.put(Lane.URGENT, event.model_copy(update={"data": event.data | {"severity": severity}}))
            said.append((NODE, f"k{number}", 1))

        await say(0, severity=1)
        await eventually(lambda: alarm_keys(client), said)
        (red,) = (await client.get("/api/v1/alarms")).json()["items"]

        async def receipts() -> list[str]:
            course = (await client.get(f"/api/v1/alarms/{red['id']}/escalation")).json()
            return [notice["state"] for notice in course["notices"]]

        await eventually(receipts, ["accepted"])
        leader.kill()
        await say(1, severity=4)
        await eventually(receipts, ["accepted"] * 2, 90)
        cluster.kill()
        await say(2, severity=4)
        cluster.start()
        await eventually(receipts, ["accepted"] * 3, 120)
        await eventually(lambda: alarm_keys(client), sorted(said))
        await settled(box.spool)
    assert len(taken) == len(set(taken)) == len(STEPS), "each step told its person once"
