"""Chooses the bus that the settings ask for: NATS for replicas, else the one inside the process."""

from urllib.parse import urlsplit

from gateway.adapters.bus_memory import MemoryBus
from gateway.adapters.bus_nats import NatsBus, NatsPlace
from gateway.ports.bus import Bus
from gateway.settings import BusSection, Settings, is_loopback
from protocols.aio.clock import Clock
from protocols.aio.mqtt import TlsFiles
from protocols.errors import ConfigError


def choose_bus(settings: Settings, client: TlsFiles, clock: Clock) -> Bus:
    """Return the bus, not joined. `client` is the gateway's own identity. Raises ConfigError."""
    wanted = settings.bus
    if wanted.url is None:
        return MemoryBus()
    urls = tuple(_server(url.strip()) for url in wanted.url.split(","))
    secured = any(url.startswith("tls://") for url in urls)
    tls = TlsFiles(wanted.authority or client.ca, client.certificate, client.key).context() if secured else None
    return NatsBus(NatsPlace(urls, tls, _login(wanted), wanted.copies), centre=settings.centre.code, clock=clock)


def _server(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("nats", "tls") or not parts.hostname:
        raise ConfigError(f"bus.url: {url} is not tls://host:port (with commas between several)")
    if parts.username is not None:
        raise ConfigError("bus.url must hold no password, which others may read; use bus.credentials_file")
    if parts.scheme == "nats" and not is_loopback(parts.hostname):
        raise ConfigError(f"bus.url: plain NATS to {parts.hostname} could be read and forged; use tls://")
    return url


def _login(wanted: BusSection) -> tuple[str, ...]:
    if wanted.credentials_file is None:
        return ()
    try:
        text = wanted.credentials_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"bus.credentials_file {wanted.credentials_file} cannot be read: {error}") from None
    user, colon, password = text.partition(":")
    return (user, password) if colon else (text,)
