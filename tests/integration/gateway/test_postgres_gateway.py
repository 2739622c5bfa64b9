"""A city on PostgreSQL below a province on SQLite: its database dies and returns, nothing is lost or doubled."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.app import Gateway
from tests.support.chain import logged, node, settings, until
from tests.support.postgres import Cluster

pytestmark = [pytest.mark.external, pytest.mark.slow, pytest.mark.timeout(300)]


@contextlib.asynccontextmanager
async def province_and_city(folder: Path, cluster: Cluster) -> AsyncIterator[tuple[Gateway, Gateway]]:
    url = (await cluster.database()).render_as_string()
    async with Gateway(settings("320000", folder)) as province:
        made = await province.enrolment.invite("320600", "test")
        upstream = {"url": province.base_url, "token": str(made.token)}
        async with Gateway(settings("320600", folder, upstream=upstream, store={"url": url})) as city:
            yield province, city


async def test_the_database_of_a_city_dies_and_returns(tmp_path: Path) -> None:
    cluster = Cluster().start()
    try:
        await cluster.make_template()
        async with province_and_city(tmp_path, cluster) as (province, city), node(city, "320681-box", tmp_path) as box:
            sent = [(await box.raise_alarm(f"before-{n}", severity=1 + n % 4)).id for n in range(40)]
            await until(lambda: _count(province, 40))
            cluster.kill()
            sent += [(await box.raise_alarm(f"while-{n}", severity=1 + n % 4)).id for n in range(40)]
            await until(lambda: not city.ready()["store"])
            async with httpx.AsyncClient(base_url=city.base_url) as client:
                ready = await client.get("/readyz")
                assert (ready.status_code, ready.json()["parts"]["store"]) == (503, False)
                assert (await client.get("/healthz")).status_code == 200
                login = await client.post("/api/v1/session", json={"username": "admin", "password": "x" * 12})
                assert (login.status_code, login.json()["code"]) == (503, "store_away")
            assert await box.spool.depth()  # not receipted: it waits at the node
            cluster.start()
            await until(lambda: _count(province, 80))
            await until(lambda: city.ready()["store"])
            for gateway in (city, province):
                lines = [line.event_id for line in await logged(gateway)]
                assert sorted(lines) == sorted(sent), "each once, none lost"
                assert not await gateway.store.quarantined()
            await until(lambda: _drained(box))
    finally:
        cluster.remove()


async def _count(gateway: Gateway, wanted: int) -> bool:
    return len(await logged(gateway)) >= wanted


async def _drained(box: object) -> bool:
    return not any((await box.spool.depth()).values())
