"""One suite for every broker that a gateway starts itself."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.adapters.broker_embedded import EmbeddedBroker
from gateway.adapters.broker_mosquitto import MosquittoBroker, find_mosquitto
from protocols.aio.mqtt import BrokerAddress, MqttError, MqttLink, TlsFiles, Will
from protocols.errors import ConfigError, RefusedError
from tests.support.pki import authority, client

KINDS = [pytest.param("mosquitto", marks=pytest.mark.external), "embedded"]
BOX, OTHER, CITY = "320623-box", "320613-box", "320600"


@pytest.fixture
def issuer(tmp_path):
    return authority(tmp_path / "pki")


@pytest.fixture(params=KINDS)
def make(request, issuer, tmp_path):
    now = datetime.now(UTC)

    def made(port=0):
        parts = {
            "gateway": CITY,
            "server": issuer.server_files("broker", [], now),
            "client": issuer.client_files(now),
        }
        if request.param == "embedded":
            return EmbeddedBroker(tmp_path / "broker", "127.0.0.1", port, **parts)
        program = find_mosquitto()
        if program is None:
            pytest.fail("mosquitto is not installed: apt-get install mosquitto")
        return MosquittoBroker(program, tmp_path / "broker", "127.0.0.1", port, **parts)

    return made


@pytest.fixture
def box(issuer, tmp_path):
    return client(issuer, tmp_path / "clients", BOX)


@pytest.fixture
def other(issuer, tmp_path):
    return client(issuer, tmp_path / "clients", OTHER)


def link(broker, tls, name, **more):
    return MqttLink(BrokerAddress("127.0.0.1", broker.port, tls), name, **more)


async def heard(messages, seconds=20.0):
    async with asyncio.timeout(seconds):
        return await anext(messages)


@asynccontextmanager
async def city(broker, *topics):
    async with MqttLink(broker.address, CITY) as mine:
        await mine.subscribe(*topics)
        yield mine


async def until(condition, seconds=30.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_node_reaches_its_gateway_and_the_gateway_its_node(make, box):
    async with make() as broker:
        assert broker.health.up
        assert broker.health.production == (broker.kind == "mosquitto")
        async with city(broker, "silian/v1/+/up/+", "silian/v1/+/state") as up, link(broker, box, BOX) as down:
            await down.subscribe(f"silian/v1/{BOX}/down/+", f"silian/v1/{BOX}/rcpt/up")
            at_city, at_box = up.messages(), down.messages()
            await down.publish(f"silian/v1/{BOX}/up/urgent", b"alarm")
            message = await heard(at_city)
            assert (message.topic, message.payload) == (f"silian/v1/{BOX}/up/urgent", b"alarm")
            up.ack(message)
            await up.publish(f"silian/v1/{BOX}/rcpt/up", b"receipt")
            assert (await heard(at_box)).payload == b"receipt"
            await up.publish(f"silian/v1/{BOX}/down/urgent", b"order")
            assert (await heard(at_box)).payload == b"order"
            await down.publish(f"silian/v1/{BOX}/state", b"here", retain=True)
            assert (await heard(at_city)).payload == b"here"


@pytest.mark.parametrize(
    "topic",
    [
        f"silian/v1/{OTHER}/up/urgent",
        f"silian/v1/{OTHER}/state",
        f"silian/v1/{BOX}/down/urgent",
        f"silian/v1/{BOX}/rcpt/up",
        "silian/v1/whatever",
        "elsewhere",
    ],
)
async def test_what_is_not_a_nodes_to_write_reaches_nobody(make, box, other, topic):
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(make())
        up = await stack.enter_async_context(city(broker, "silian/v1/+/up/+", "silian/v1/+/state"))
        async with link(broker, box, BOX) as mine, link(broker, other, OTHER) as theirs:
            await mine.subscribe(f"silian/v1/{BOX}/down/+", f"silian/v1/{BOX}/rcpt/up")
            at_city, at_box = up.messages(), mine.messages()
            try:
                await mine.publish(topic, b"forged")
            except RefusedError:
                assert broker.kind == "mosquitto", "MQTT 5 alone can tell"
            else:
                assert broker.kind == "embedded"
            await mine.publish(f"silian/v1/{BOX}/up/live", b"honest")
            assert (await heard(at_city)).payload == b"honest"
            await theirs.publish(f"silian/v1/{OTHER}/up/live", b"next")
            assert (await heard(at_city)).payload == b"next"
            await up.publish(f"silian/v1/{BOX}/down/live", b"order")
            assert (await heard(at_box)).payload == b"order"


async def test_a_node_cannot_listen_to_another_branch(make, box, other):
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(make())
        up = await stack.enter_async_context(city(broker, "silian/v1/+/up/+"))
        async with link(broker, other, OTHER) as spy, link(broker, box, BOX) as mine:
            for topic in ("#", "silian/v1/#", f"silian/v1/{BOX}/down/+", "silian/v1/+/up/+", f"silian/v1/{BOX}/state"):
                with suppress(RefusedError, MqttError):
                    await spy.subscribe(topic)
            await spy.subscribe(f"silian/v1/{OTHER}/down/+")
            await mine.publish(f"silian/v1/{BOX}/up/live", b"private")
            assert (await heard(up.messages())).payload == b"private"
            await up.publish(f"silian/v1/{BOX}/down/live", b"private order")
            await up.publish(f"silian/v1/{OTHER}/down/live", b"own order")
            assert (await heard(spy.messages())).payload == b"own order"


async def test_without_a_certificate_of_this_authority_nobody_comes_in(make, box, issuer, tmp_path):
    foreign = client(authority(tmp_path / "foreign"), tmp_path / "elsewhere", BOX)
    forged = TlsFiles(issuer.folder / "ca.crt", foreign.certificate, foreign.key)
    async with make() as broker:
        for tls in (None, TlsFiles(issuer.folder / "ca.crt"), forged):
            with pytest.raises(MqttError):
                async with link(broker, tls, BOX, connect_timeout_s=5):
                    pytest.fail("was let in")
        async with link(broker, box, BOX):
            pass


async def test_a_session_cannot_be_taken_over_under_another_name(make, box, other):
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(make())
        up = await stack.enter_async_context(city(broker, "silian/v1/+/up/+"))
        mine = await stack.enter_async_context(link(broker, box, BOX, session_expiry_s=60))
        await mine.subscribe(f"silian/v1/{BOX}/down/+")
        async with link(broker, other, BOX, session_expiry_s=60) as thief:
            with suppress(RefusedError):
                await thief.publish(f"silian/v1/{BOX}/up/live", b"stolen")
            await thief.publish(f"silian/v1/{OTHER}/up/live", b"own")
            at_city = up.messages()
            assert (await heard(at_city)).payload == b"own"
            await mine.publish(f"silian/v1/{BOX}/up/live", b"still here")
            assert (await heard(at_city)).payload == b"still here"
            await up.publish(f"silian/v1/{BOX}/down/live", b"order")
            assert (await heard(mine.messages())).payload == b"order"


async def test_a_last_will_is_spoken_on_the_own_state_and_nowhere_else(make, box, other):
    async with make() as broker, city(broker, "silian/v1/+/state") as up:
        at_city = up.messages()
        will = Will(f"silian/v1/{OTHER}/state", b"forged", retain=False, delay_s=0)
        try:
            async with link(broker, box, BOX, will=will, connect_timeout_s=5) as liar:
                await _die(liar)
        except MqttError:
            pass  # refused at once is as good as kept silent
        will = Will(f"silian/v1/{BOX}/state", b"gone", retain=False, delay_s=0)
        try:
            async with link(broker, box, BOX, will=will) as mine:
                await _die(mine)
        except MqttError:
            pass
        assert (await heard(at_city)).payload == b"gone"


async def _die(mine):
    # Cut the socket without a farewell.
    mine._on()._client._client._sock_close()
    await asyncio.sleep(0.1)


async def test_a_killed_broker_comes_back_on_the_same_port(make, box):
    async with make() as broker:
        port = broker.port
        os.kill(int((broker.folder / "pid").read_text()), signal.SIGKILL)
        await until(lambda: broker.health.restarts == 1 and broker.health.up)
        assert broker.port == port
        async with city(broker, "silian/v1/+/up/+") as up, link(broker, box, BOX) as mine:
            await mine.publish(f"silian/v1/{BOX}/up/live", b"again")
            assert (await heard(up.messages())).payload == b"again"


async def test_the_port_is_kept_over_a_restart_of_the_gateway(make):
    async with make() as broker:
        port = broker.port
    async with make() as broker:
        assert broker.port == port


async def test_a_second_gateway_on_the_same_state_is_refused(make):
    async with make():
        with pytest.raises(ConfigError, match="in use by another gateway"):
            async with make():
                pytest.fail("both started")


async def test_a_left_over_is_recognised_and_ended(make):
    broker = make()
    async with broker:
        port = broker.port
        command = broker.command()
    left = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=Path.cwd())
    try:
        (broker.folder / "pid").write_text(str(left.pid))
        async with make(port) as fresh:
            assert left.wait(10) == -signal.SIGKILL
            assert fresh.health.up
    finally:
        left.kill()
        left.wait()


async def test_a_process_that_is_not_ours_is_left_alone(make):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        broker = make()
        broker.folder.mkdir()
        (broker.folder / "pid").write_text(str(stranger.pid))
        async with broker:
            assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_taken_port_is_a_config_error_that_names_it(make):
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConfigError, match=str(port)):
            async with make(port):
                pytest.fail("started on a taken port")


async def test_the_broker_dies_with_its_gateway(make):
    broker = make()
    files = [*_paths(broker.server), *_paths(broker.address.tls)]
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "tests.support.broker_host", broker.kind, str(broker.folder), *files]
    gateway = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root)
    try:
        assert await asyncio.to_thread(gateway.stdout.readline) == b"up\n"
        child = int((broker.folder / "pid").read_text())
    finally:
        gateway.kill()
        gateway.wait()
        gateway.stdout.close()
    await until(lambda: not _lives(child))


def _paths(files):
    return [str(files.ca), str(files.certificate), str(files.key)]


def _lives(pid):
    try:
        return " Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except FileNotFoundError:
        return False
