"""Channels against real local servers: what they hand in, and what they say of a refusal."""

import asyncio
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from gateway.adapters.notify_choice import choose_channels
from gateway.adapters.notify_console import ConsoleNotifier
from gateway.adapters.notify_email import EmailNotifier, MailServer
from gateway.adapters.notify_http import SmsGateway, SmsHttpNotifier, WebhookNotifier
from gateway.events import ConsoleCalled, EventBus
from gateway.ports.notify import Channel, Notice, NotSentError, Receipt
from gateway.settings import NotifySection
from protocols.errors import ConfigError

ID = "01JDDDDDDDDDDDDDDDDDDDDDDD"


def notice(address: str, text: str = "【演练】如东县红色告警：{id} 燃气", **data: Any) -> Notice:
    return Notice(ID, address, "红色告警\n未签收", text, 1, {"alarms": ["a"], **data})


@dataclass
class Mailbox:
    """What a mail server got; it refuses recipients called `gone`, and for now those called `busy`."""

    got: list[bytes] = field(default_factory=list)

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if address.startswith("gone"):
            return "550 no such user"
        if address.startswith("busy"):
            return "451 try later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):
        self.got.append(envelope.content)
        return "250 queued as 42"


@pytest.fixture
def mail():
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        box.port = probe.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    yield box
    controller.stop()


async def test_a_mail_is_handed_in_readable_and_its_refusals_are_told_apart(mail):
    channel = EmailNotifier(MailServer("127.0.0.1", mail.port, "silian@example.org", "none"))
    sent = await channel.send(notice("li@example.org"))
    assert (sent.receipt, "queued as 42" in sent.reference) == (Receipt.ACCEPTED, True)
    message = message_from_bytes(mail.got[0], policy=policy.default)
    assert message["Subject"] == "红色告警 未签收"
    assert message["Message-ID"] == f"<{ID}@example.org>"
    assert message.get_content().strip() == "【演练】如东县红色告警：{id} 燃气"
    for address, again in (("gone@example.org", False), ("busy@example.org", True)):
        with pytest.raises(NotSentError) as caught:
            await channel.send(notice(address))
        assert caught.value.again is again
    nowhere = EmailNotifier(MailServer("127.0.0.1", 1, "silian@example.org", "none"))
    with pytest.raises(NotSentError, match="mail server"):
        await nowhere.send(notice("li@example.org"))


@dataclass
class Web:
    """A plain HTTP server: what it got, and what it answers."""

    url: str = ""
    status: int = 200
    answer: str = "{}"
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head if line)}
        self.got.append((headers, await reader.readexactly(int(headers["content-length"]))))
        said = self.answer.encode()
        writer.write(
            f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(said)}\r\nConnection: close\r\n\r\n".encode() + said
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def web() -> AsyncIterator[Web]:
    made = Web()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/in"
    try:
        yield made
    finally:
        server.close()


async def test_a_webhook_is_signed_and_names_its_message():
    async with web() as there:
        channel = WebhookNotifier(b"0123456789abcdef")
        assert (await channel.send(notice(there.url))).receipt is Receipt.ACCEPTED
        headers, body = there.got[0]
        true = hmac.new(b"0123456789abcdef", body, hashlib.sha256).hexdigest()
        assert headers["x-silian-signature"] == f"sha256={true}"
        assert headers["idempotency-key"] == json.loads(body)["id"] == ID
        for there.status, again in ((503, True), (429, True), (400, False), (302, False)):
            with pytest.raises(NotSentError) as caught:
                await channel.send(notice(there.url))
            assert caught.value.again is again


async def test_an_sms_gateway_gets_its_own_form_and_a_refusal_with_200_is_one():
    async with web() as there:
        body = '{"mobile": "{to}", "content": "{text}", "ref": "{id}"}'
        channel = SmsHttpNotifier(SmsGateway(there.url, body, accepted=r'"task": "(\w+)"', headers={"X-Key": "k"}))
        there.answer = '{"task": "t7"}'
        sent = await channel.send(notice("138 0000-0001", '他说"好"{id}'))
        assert (sent.receipt, sent.reference) == (Receipt.ACCEPTED, "t7")
        headers, got = there.got[0]
        assert headers["x-key"] == "k"
        assert json.loads(got) == {"mobile": "13800000001", "content": '他说"好"{id}', "ref": ID}
        there.answer = '{"error": "no credit"}'
        with pytest.raises(NotSentError, match="no credit"):
            await channel.send(notice("13800000001"))
        form = SmsHttpNotifier(SmsGateway(there.url, "to={to}&text={text}", "application/x-www-form-urlencoded"))
        await form.send(notice("13800000001", "a&b"))
        assert there.got[-1][1] == b"to=13800000001&text=a%26b"


async def test_a_console_is_called_only_where_one_is_open():
    bus, open_ = EventBus(), [0]
    heard = []
    bus.listen(ConsoleCalled, heard.append)
    channel = ConsoleNotifier(bus, lambda: open_[0])
    with pytest.raises(NotSentError, match="no_console"):
        await channel.send(notice("duty_officer"))
    open_[0] = 1
    assert (await channel.send(notice("duty_officer"))).receipt is Receipt.SENT
    assert (heard[0].role, heard[0].severity) == ("duty_officer", 1)


def test_channels_are_there_where_the_settings_name_them(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef\n")
    none = choose_channels(NotifySection(), EventBus(), lambda: 0)
    assert set(none) == {Channel.SOUND}
    wanted = NotifySection(smtp="127.0.0.1:25", webhook_secret_file=secret, sms_url="http://127.0.0.1:9/")
    assert set(choose_channels(wanted, EventBus(), lambda: 0)) == set(Channel)
    secret.write_text("short")
    with pytest.raises(ConfigError, match="webhook_secret_file"):
        choose_channels(NotifySection(webhook_secret_file=secret), EventBus(), lambda: 0)
