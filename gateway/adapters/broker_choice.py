"""Chooses the broker that the settings ask for: configured, else mosquitto, else embedded and visibly so."""

import logging
from urllib.parse import urlsplit

from gateway.adapters.broker_embedded import EmbeddedBroker
from gateway.adapters.broker_mosquitto import MosquittoBroker, find_mosquitto
from gateway.adapters.broker_url import UrlBroker, broker_address
from gateway.ports.broker import Broker
from gateway.settings import BrokerKind, Settings
from protocols.aio.mqtt import TlsFiles
from protocols.enrolment import BrokerPlace
from protocols.errors import NeedsError

logger = logging.getLogger(__name__)


def choose_broker(settings: Settings, server: TlsFiles, client: TlsFiles) -> Broker:
    """Return the broker, not started. `server`: its listener's certificate, `client`: the gateway's own identity.

    Raises NeedsError where mosquitto is asked for and not installed, ConfigError for a bad URL.
    """
    wanted, node = settings.broker, settings.centre.code
    if wanted.url is not None and wanted.kind in (BrokerKind.AUTO, BrokerKind.URL):
        trusted = TlsFiles(wanted.authority or client.ca, client.certificate, client.key)
        return UrlBroker(broker_address(wanted.url, trusted))
    folder = settings.state.dir.resolve() / "broker"
    program = find_mosquitto() if wanted.kind is not BrokerKind.EMBEDDED else None
    if program is not None:
        return MosquittoBroker(
            program, folder, wanted.host, wanted.port, gateway=node, server=server, client=client, user=wanted.user
        )
    if wanted.kind is BrokerKind.MOSQUITTO:
        raise NeedsError('broker.kind = "mosquitto" needs the program: apt-get install mosquitto')
    logger.warning("embedded broker, not for production", extra={"remedy": "apt-get install mosquitto"})
    return EmbeddedBroker(folder, wanted.host, wanted.port, gateway=node, server=server, client=client)


def announced(settings: Settings, broker: Broker) -> BrokerPlace:
    """Return the broker's address as nodes are told at their enrolment."""
    wanted = settings.broker
    anywhere = wanted.host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
    public = urlsplit(settings.http.public_url or "").hostname
    host = (public or next(iter(wanted.names), "127.0.0.1")) if anywhere else wanted.host
    if broker.health.kind == "url":
        host = broker.address.host
    return BrokerPlace(host=host, port=broker.port)
