"""Who this agent is at its gateway: enrols where needed, and says where the broker is and how to be let in."""

import logging
import random
from pathlib import Path

from edge_agent.settings import GatewaySection, Settings
from protocols.aio.clock import Clock
from protocols.aio.enrol import Identity, ensure_identity, renew_if_due
from protocols.aio.mqtt import BrokerAddress, TlsFiles
from protocols.backoff import Backoff
from protocols.errors import ConfigError, LinkError, RefusedError

logger = logging.getLogger(__name__)
RETRY = Backoff(base=0.5, cap=5.0, floor=0.3)
RENEW_EVERY_S = 3600.0


def identity_dir(settings: Settings) -> Path:
    """Return the folder of key and certificate."""
    return settings.state.dir / "identity"


def read_token(gateway: GatewaySection) -> str | None:
    """Return the one-time token, None where the settings name none; raises ConfigError for an unreadable file."""
    if gateway.enrolment_token:
        return gateway.enrolment_token.strip()
    if gateway.enrolment_token_file is None:
        return None
    try:
        return gateway.enrolment_token_file.read_text("utf-8").strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"gateway.enrolment_token_file: {error.strerror}") from None


async def obtain_identity(settings: Settings, clock: Clock) -> Identity:
    """Return the identity, enrolling first where there is none; a gateway that is away is waited for, for ever.

    Raises ConfigError, BadInputError, RefusedError: what waiting does not heal.
    """
    attempt = 0
    while True:
        try:
            found = await ensure_identity(identity_dir(settings), settings.gateway.url, read_token(settings.gateway))
        except RefusedError:
            raise
        except LinkError as error:
            logger.warning("gateway not reachable", extra={"url": settings.gateway.url, "detail": str(error)})
        else:
            return _own(found, settings.node.id)
        await clock.sleep(RETRY.delay(attempt, random.random()))  # noqa: S311 - jitter, no secret
        attempt += 1


def _own(found: Identity, node: str) -> Identity:
    if found.node != node:
        raise ConfigError(f"node.id is {node}, the certificate is for {found.node}: which one is wrong?")
    return found


def broker_address(identity: Identity, gateway: GatewaySection) -> BrokerAddress:
    """Return the broker of the settings, else the one named at enrolment; always with mutual TLS."""
    host, port = identity.broker_host, identity.broker_port
    if gateway.broker:
        host, _, text = gateway.broker.rpartition(":")
        port = int(text)
    return BrokerAddress(host, port, tls=TlsFiles(identity.authority, identity.certificate, identity.key))


async def keep_renewed(settings: Settings, clock: Clock) -> None:
    """Look each hour whether the certificate must be renewed; errors are logged and tried again."""
    while True:
        await clock.sleep(RENEW_EVERY_S)
        try:
            if await renew_if_due(identity_dir(settings), clock.now()):
                logger.info("certificate renewed", extra={"node": settings.node.id})
        except (LinkError, ConfigError) as error:
            logger.warning("certificate not renewed", extra={"node": settings.node.id, "detail": str(error)})
