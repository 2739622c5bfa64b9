"""Each trap of the MQTT library, closed and proved against a real mosquitto (and amqtt)."""

import asyncio
import contextlib
import socket

import pytest

from protocols.aio.mqtt import BrokerAddress, Message, MqttError, MqttLink, TlsFiles, Will
from protocols.errors import ConfigError, RefusedError
from protocols.health import LinkReason
from tests.support.brokers import NODE_ACL, amqtt_broker, free_port, mosquitto
from tests.support.certificates import Authority

pytestmark = pytest.mark.external


async def take(link: MqttLink, count: int, *, ack: bool = True) -> list[Message]:
    taken: list[Message] = []
    async with asyncio.timeout(20):
        async for message in link.messages():
            taken.append(message)
            if ack:
                link.ack(message)
            if len(taken) == count:
                break
    return taken


async def test_publish_refused_by_acl_raises(tmp_path):
    async with (
        mosquitto(tmp_path, acl=NODE_ACL) as broker,
        MqttLink(broker.address("320623-box"), "320623-box") as link,
    ):
        assert link.version == 5
        with pytest.raises(RefusedError, match="0x87"):
            await link.publish("silian/v1/320612-box/up/live", b"another node's branch")
        await link.publish("silian/v1/320623-box/up/live", b"own branch")


async def test_unacknowledged_messages_come_again_and_none_is_dropped(tmp_path):
    async with mosquitto(tmp_path) as broker:
        address = broker.address()
        async with MqttLink(address, "taker", session_expiry_s=60, receive_maximum=5) as first:
            await first.subscribe("t/#")
            async with MqttLink(address, "giver") as giver:
                for number in range(50):
                    await giver.publish("t/1", b"%d" % number)
            held = await take(first, 5, ack=False)
            await asyncio.sleep(0.2)
            assert first._on().inbox.empty(), "Receive Maximum must hold the rest back at the broker"
            first.ack(held[0])
            first.ack(held[1])
            await take(first, 2, ack=False)
        async with MqttLink(address, "taker", session_expiry_s=60, receive_maximum=5) as again:
            assert again.session_present
            rest = await take(again, 48)
        assert [int(one.payload) for one in rest] == list(range(2, 50))


async def test_will_waits_for_its_delay_and_is_cancelled_by_a_return(tmp_path):
    will = Will("state/a", b"gone", retain=True, delay_s=2)
    async with mosquitto(tmp_path) as broker, MqttLink(broker.address(), "watch") as watch:
        await watch.subscribe("state/#")
        lost = MqttLink(broker.address(), "a", will=will, session_expiry_s=60)
        await lost.__aenter__()
        lost._on()._paho.socket().shutdown(socket.SHUT_RDWR)  # no DISCONNECT: the broker sees a broken line
        async with MqttLink(broker.address(), "a", will=will, session_expiry_s=60) as back:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3.5):
                    await take(watch, 1)
            back._on()._paho.socket().shutdown(socket.SHUT_RDWR)
            assert (await take(watch, 1))[0].payload == b"gone"
        await lost.__aexit__(None, None, None)


async def test_takeover_has_its_name():
    async def newer_broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"\x20\x03\x00\x00\x00")  # CONNACK
        writer.write(b"\xe0\x02\x8e\x00")  # DISCONNECT, session taken over (mosquitto 2.0.11 just hangs up)
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(newer_broker, "127.0.0.1", 0)
    address = BrokerAddress("127.0.0.1", server.sockets[0].getsockname()[1])
    async with server:
        async with MqttLink(address, "twin") as link:
            with pytest.raises(MqttError) as ended:
                await take(link, 1)
        assert ended.value.reason is LinkReason.TAKEOVER


async def test_a_second_session_ends_the_first(tmp_path):
    async with (
        mosquitto(tmp_path) as broker,
        MqttLink(broker.address(), "twin") as first,
        MqttLink(broker.address(), "twin"),
    ):
        with pytest.raises(MqttError):
            await take(first, 1)


async def test_killed_broker_ends_iteration_and_publishes(tmp_path):
    async with mosquitto(tmp_path) as broker:
        async with MqttLink(broker.address(), "a") as link:
            await link.subscribe("t")
            await broker.kill()
            with pytest.raises(MqttError) as ended:
                await take(link, 1)
            assert ended.value.reason is LinkReason.PEER_CLOSED
            with pytest.raises(MqttError):
                await link.publish("t", b"x")
        with pytest.raises(MqttError) as refused:
            async with MqttLink(broker.address(), "a"):
                pass
        assert refused.value.reason is LinkReason.PEER_CLOSED
        await broker.start()
        async with MqttLink(broker.address(), "a") as link:
            await link.publish("t", b"x")


async def test_mutual_tls_and_the_name_in_the_certificate(tmp_path):
    authority = Authority(tmp_path / "ca")
    async with mosquitto(tmp_path, acl=NODE_ACL, authority=authority) as broker:
        async with MqttLink(broker.address("320623-box"), "x") as link:
            await link.publish("silian/v1/320623-box/up/live", b"mine")
            with pytest.raises(RefusedError):
                await link.publish("silian/v1/320612-box/up/live", b"not mine")
        stranger = Authority(tmp_path / "other").issue("320623-box")
        wrong = BrokerAddress("127.0.0.1", broker.port, tls=stranger)
        with pytest.raises(MqttError) as failed:
            async with MqttLink(wrong, "x"):
                pass
        assert failed.value.reason is LinkReason.TLS


async def test_client_without_certificate_is_named_tls(tmp_path):
    authority = Authority(tmp_path / "ca")
    async with mosquitto(tmp_path, authority=authority) as broker:
        bare = BrokerAddress("127.0.0.1", broker.port, tls=TlsFiles(authority.ca))
        with pytest.raises(MqttError):
            async with MqttLink(bare, "x"):
                pass
    with pytest.raises(ConfigError):
        TlsFiles(tmp_path / "nowhere").context()


async def test_wrong_password_is_named_auth(tmp_path):
    async with mosquitto(tmp_path, settings="") as broker:
        text = (tmp_path / "mosquitto.conf").read_text().replace("allow_anonymous true", "allow_anonymous false")
        await broker.stop()
        (tmp_path / "mosquitto.conf").write_text(text)
        await broker.start()
        with pytest.raises(MqttError) as failed:
            async with MqttLink(broker.address(), "x"):
                pass
        assert failed.value.reason is LinkReason.AUTH


async def test_many_publishes_in_flight(tmp_path):
    async with mosquitto(tmp_path) as broker:
        async with MqttLink(broker.address(), "in", receive_maximum=10) as taker:
            await taker.subscribe("t")
            async with MqttLink(broker.address(), "out") as giver, asyncio.TaskGroup() as group:
                for number in range(300):
                    group.create_task(giver.publish("t", b"%d" % number))
                taken = await take(taker, 300)
        assert {int(one.payload) for one in taken} == set(range(300))


async def test_cancelled_connect_leaves_nothing():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(1)
        link = MqttLink(BrokerAddress("127.0.0.1", deaf.getsockname()[1]), "x", connect_timeout_s=30)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), link:
                pass
    # a left-over socket would be a ResourceWarning, which is an error here


async def test_silent_port_is_a_timeout():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(1)
        with pytest.raises(MqttError) as failed:
            async with MqttLink(BrokerAddress("127.0.0.1", deaf.getsockname()[1]), "x", connect_timeout_s=2):
                pass
    assert failed.value.reason is LinkReason.TIMEOUT
    with pytest.raises(MqttError):
        async with MqttLink(BrokerAddress("127.0.0.1", free_port()), "x"):
            pass


async def test_amqtt_forces_311_and_still_carries(tmp_path):
    async with amqtt_broker() as address, MqttLink(address, "in") as taker:
        assert taker.version == 4
        await taker.subscribe("t/#")
        async with MqttLink(address, "out") as giver:
            await giver.publish("t/1", b"one")
            await giver.publish("t/2", b"two", expiry_s=5)
        assert [one.payload for one in await take(taker, 2)] == [b"one", b"two"]


async def test_no_delay_is_set(tmp_path):
    async with mosquitto(tmp_path) as broker, MqttLink(broker.address(), "x") as link:
        raw = link._on()._paho.socket()
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    with contextlib.suppress(MqttError):
        link.ack(Message("t", b"", 1, False, 1))
