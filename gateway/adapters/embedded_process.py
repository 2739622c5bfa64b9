"""The process of the embedded broker: `python -m gateway.adapters.embedded_process CONFIG`.

amqtt leaves holes that matter here, closed below: a connection without a certificate is let in, a session is found
by its client id alone (another node could take it over with its rights), and a last will is not checked against the
access list.
"""

import asyncio
import json
import logging
import signal
import ssl
import sys
from pathlib import Path
from typing import Any

import amqtt.broker
from amqtt.broker import Broker
from amqtt.contexts import Action, ListenerConfig
from amqtt.errors import MQTTError
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session
from typing_extensions import override

from gateway.adapters.broker_access import allowed


class CertificateName(BaseAuthPlugin):
    """Admits whom `NamedHandler` has named."""

    @override
    async def authenticate(self, *, session: Session) -> bool:
        return bool(session.username)


class OwnBranch(BaseTopicPlugin):
    """Asks the access rule for every publish, subscription and delivery."""

    @override
    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        if session is None or topic is None:
            return False
        return allowed(session.username or "", NamedHandler.gateway, topic, write=action == Action.PUBLISH)


class NamedHandler(BrokerProtocolHandler):
    """Names the session by the certificate before the broker looks for an older one."""

    gateway = ""

    @classmethod
    @override
    async def init_from_connect(cls, reader: Any, writer: Any, plugins_manager: Any, loop: Any = None) -> Any:
        name = certificate_name(writer.get_ssl_info())
        handler, session = await super().init_from_connect(reader, writer, plugins_manager, loop)
        if not name:
            raise MQTTError("no certificate")
        if session.will_flag and not allowed(name, cls.gateway, session.will_topic or "", write=True):
            raise MQTTError(f"{name} may not leave a will on {session.will_topic}")
        session.username = name
        session.client_id = name  # sessions of two names can never meet
        return handler, session


class TlsBroker(Broker):
    """Requires a client certificate at the handshake."""

    @staticmethod
    @override
    def _create_ssl_context(listener: ListenerConfig) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=listener.cafile)
        if listener.certfile is None:
            raise AssertionError("run() names the certificate")
        context.load_cert_chain(listener.certfile, listener.keyfile)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        return context


def certificate_name(tls: ssl.SSLObject | None) -> str:
    """Return the CN of the peer's verified certificate, "" without one."""
    found = tls.getpeercert() if tls is not None else None
    subject: Any = (found or {}).get("subject", ())
    return next((str(value) for part in subject for key, value in part if key == "commonName"), "")


async def run(config: dict[str, Any]) -> None:
    """Serve until SIGTERM."""
    NamedHandler.gateway = config["gateway"]
    vars(amqtt.broker)["BrokerProtocolHandler"] = NamedHandler
    host = f"[{config['host']}]" if ":" in config["host"] else config["host"]
    listener = {"type": "tcp", "bind": f"{host}:{config['port']}", "ssl": True}
    listener |= {"cafile": config["ca"], "certfile": config["certificate"], "keyfile": config["key"]}
    broker = TlsBroker(
        {
            "listeners": {"default": listener},
            "plugins": {f"{__name__}.{plugin.__name__}": {} for plugin in (CertificateName, OwnBranch)},
        }
    )
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await broker.start()
    await ended.wait()
    await broker.shutdown()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("transitions").setLevel(logging.ERROR)
    asyncio.run(run(json.loads(Path(sys.argv[1]).read_text("utf-8"))))
