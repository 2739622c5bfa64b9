import socket

import httpx
import pytest

from gateway.metrics import Metrics
from gateway.web.management import build_management
from gateway.web.server import HttpServer, Listen, bind
from protocols.errors import ConfigError


async def test_metrics_health_and_tasks_over_a_real_socket():
    metrics = Metrics()
    seen = []
    metrics.live("tasks", lambda: seen.append(1) or [((), 5.0)])
    async with HttpServer(build_management(metrics), Listen("127.0.0.1", 0), "management") as server:
        assert server.port > 0
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
            scraped = await client.get("/metrics", follow_redirects=False)
            again = await client.get("/metrics", headers={"Accept-Encoding": "identity"})
            assert scraped.status_code == 200
            assert scraped.headers["content-encoding"] == "gzip"
            assert "silian_tasks 5.0" in scraped.text == again.text
            assert len(seen) == 1, "two scrapes within a second share one snapshot"
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            names = [task["name"] for task in (await client.get("/debug/tasks")).json()]
            assert "http[management]" in names
            assert (await client.get("/")).json()["code"] == "not_found"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)


def test_a_taken_port_is_named():
    with bind("127.0.0.1", 0, "http") as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}"):
            bind("127.0.0.1", port, "http")
