"""Chooses the media engine that the settings ask for."""

import ssl
from collections.abc import Callable

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.adapters.media_janus.connection import JanusPlace
from gateway.adapters.media_janus.engine import JanusMediaEngine
from gateway.adapters.media_spread.door import Door
from gateway.adapters.media_spread.engine import SpreadMediaEngine
from gateway.ports.media import MediaEngine
from gateway.settings import MediaEngineKind, MediaSection, Settings
from protocols.errors import ConfigError


def choose_engine(
    settings: Settings,
    trust: Callable[[], ssl.SSLContext | None],
    trust_near: Callable[[], ssl.SSLContext | None] = lambda: None,
) -> MediaEngine:
    """Return the engine, not started. `trust` is for the tier above, `trust_near` for replicas. Raises ConfigError."""
    media, state = settings.media, settings.state.dir.resolve()
    worker = EmbeddedMediaEngine(
        state_dir=state / "media",
        advertise=media.advertise or (media.host,),
        host=media.host,
        port=media.port,
        tcp=media.tcp,
        backend=media.backend,
        batch_window_ms=media.batch_window_ms,
        trust=trust,
    )
    worker.workers = media.processes
    worker.trust_near = trust_near
    worker.uplink_bps = media.uplink_kbps * 1000
    if media.engine is MediaEngineKind.EMBEDDED:
        return worker
    place = JanusPlace(
        state / "janus", media.janus_url, janus_secret(media), media.janus_interface, media.janus_heard_at
    )
    return JanusMediaEngine(worker, place)


def janus_secret(media: MediaSection) -> str:
    """Read the API secret of an external Janus; empty where none is set. Raises ConfigError."""
    if media.janus_secret_file is None:
        return ""
    try:
        return media.janus_secret_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"media.janus_secret_file {media.janus_secret_file} cannot be read") from error


class ReplicaMedia:
    """Makes what spreads streams over replicas (`gateway.ports.media_spread.Spreading`)."""

    engine = SpreadMediaEngine
    door = Door
