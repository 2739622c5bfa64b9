import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from edge_agent.listeners import HttpListener
from protocols.aio.tasks import Supervisor
from protocols.errors import ConfigError


async def test_who_comes_early_waits_and_who_is_inside_is_served_to_the_end():
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(_):
        entered.set()
        await leave.wait()
        return PlainTextResponse("done")

    listener = HttpListener("webhook", "127.0.0.1", 0, [Route("/", slow)])
    listener.open()
    async with Supervisor("test") as tasks, httpx.AsyncClient(trust_env=False, timeout=20) as http:
        asking = asyncio.ensure_future(http.get(f"http://127.0.0.1:{listener.port}/"))
        await asyncio.sleep(0.1)
        tasks.start("http", listener.run)
        await entered.wait()
        stopping = asyncio.ensure_future(listener.stop())
        await asyncio.sleep(0.1)
        leave.set()
        assert (await asking).text == "done"
        await stopping
        with pytest.raises(httpx.ConnectError):
            await http.get(f"http://127.0.0.1:{listener.port}/")


async def test_a_taken_port_names_the_key():
    first = HttpListener("management", "127.0.0.1", 0, [])
    first.open()
    second = HttpListener("management", "127.0.0.1", first.port, [])
    with pytest.raises(ConfigError, match=r"management\.port"):
        second.open()
    first.close()
    first.close()
