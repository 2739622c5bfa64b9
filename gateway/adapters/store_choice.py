"""Chooses the database that the settings ask for: PostgreSQL where there is a `store.url`, else a SQLite file."""

import ssl
from collections.abc import Callable

from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from gateway.adapters.store_sql import SqlStore
from gateway.adapters.store_sqlite import SqliteStore
from gateway.settings import Settings, is_loopback
from protocols.aio.clock import Clock
from protocols.errors import ConfigError


def choose_store(settings: Settings, clock: Clock, publish: Callable[[object], None]) -> SqlStore:
    """Return the store, not opened; raises ConfigError for a bad URL or an unreadable secret."""
    node, state = settings.centre.code, settings.state.dir.resolve()
    if settings.store.url is None:
        return SqliteStore(settings.database.resolve(), node, clock, publish)
    # A tenth of a second of imports that a gateway with a file does without.
    from gateway.adapters.store_postgres import PostgresStore

    url = database_url(settings)
    return PostgresStore(url, node, clock, publish, state / "store.mark", tls=trust(settings, url))


def database_url(settings: Settings) -> URL:
    """Return the address of the PostgreSQL database with its password."""
    wanted = settings.store
    try:
        url = make_url(wanted.url or "")
    except (ArgumentError, ValueError):
        raise ConfigError("store.url is no address of a database; postgresql://user@host:5432/name is one") from None
    if not url.database:
        raise ConfigError("store.url names no database; postgresql://user@host:5432/name does")
    unknown = sorted(set(url.query) - {"host"})
    if unknown:
        raise ConfigError(f"store.url: {', '.join(unknown)} is not known; only host=DIRECTORY of a local socket is")
    if wanted.password_file is None:
        return url
    try:
        password = wanted.password_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"store.password_file: cannot read {wanted.password_file}: {error}") from None
    return url.set(password=password)


def trust(settings: Settings, url: URL) -> ssl.SSLContext | None:
    """Return how the server proves itself; None on this machine, where nothing is encrypted."""
    host = url.query.get("host") or url.host or "localhost"
    if isinstance(host, str) and (host.startswith("/") or is_loopback(host)):
        return None
    try:
        return ssl.create_default_context(cafile=settings.store.authority)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"store.authority: {settings.store.authority}: {error}") from None
