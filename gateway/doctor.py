"""`silian doctor`: what is missing for this gateway and what to type. Each check is one line, good or not.

It changes nothing and works beside a running gateway: the database is opened read-only.
"""

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from pathlib import Path

from gateway.adapters.blob_files import FileBlobs
from gateway.adapters.broker_mosquitto import find_mosquitto
from gateway.adapters.media_choice import janus_secret
from gateway.adapters.media_embedded.backends import choose
from gateway.adapters.media_embedded.rules import zones
from gateway.adapters.media_janus.api import JanusClient
from gateway.adapters.media_janus.connection import too_old
from gateway.adapters.media_janus.server import find_janus, janus_version
from gateway.adapters.store_check import condition, rows_of
from gateway.audit.machine import Record, verify
from gateway.rollcall.rules.chain import ChainCheck, ChainVerdict, EvidenceKind, Link
from gateway.settings import BrokerKind, MediaBackend, MediaEngineKind, Settings
from gateway.state_lock import StateLock
from gateway.strangers import refuse_strangers
from gateway.web.assets import console_built
from protocols.errors import ConfigError, SilianError

LIBRARIES = {"av": "av", "cv2": "opencv-python-headless", "pylibsrtp": "pylibsrtp", "lxml": "lxml"}
DISK_FREE_MB = 1024
CLOCK_OFF_S = 2.0
SOON_DAYS = 14
JANUS_S = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `advice` says what to type where it is not good."""

    name: str
    good: bool
    detail: str
    advice: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Run all checks, in the order in which they should be healed."""
    found = [owner(), libraries(), state(settings)]
    running = is_running(settings)
    found += [
        ports(settings, running=running),
        media(settings),
        packet_path(settings),
        broker(settings),
        *certificates(settings),
    ]
    if settings.store.url is not None:
        found.append(database(settings))
    found += [audit(settings), evidence(settings), console(), first_login(settings)]
    if settings.media.engine is MediaEngineKind.JANUS:
        found.append(await janus(settings))
    if settings.upstream.url is not None:
        found += [identity(settings), await upstream(settings)]
    return found


def owner() -> Finding:
    """Check that the imported packages are ours."""
    try:
        refuse_strangers()
    except ConfigError as error:
        what, _, advice = str(error).partition(": ")
        return Finding("package", good=False, detail=what, advice=advice)
    return Finding("package", good=True, detail="gateway, edge_agent and protocols are silian's")


def libraries() -> Finding:
    """Check the libraries with compiled parts, which a copied environment may lack."""
    missing = [package for module, package in LIBRARIES.items() if find_spec(module) is None]
    if missing:
        return Finding(
            "libraries", good=False, detail=f"missing: {', '.join(missing)}", advice=f"pip install {' '.join(missing)}"
        )
    return Finding("libraries", good=True, detail=", ".join(LIBRARIES.values()))


def state(settings: Settings) -> Finding:
    """Check that the state directory can be written and has room."""
    folder = settings.state.dir.resolve()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        advice = f"sudo install -d -o $USER -m 700 {folder}"
        return Finding("state", good=False, detail=f"{folder} cannot be written by this user", advice=advice)
    free = shutil.disk_usage(nearest).free // 2**20
    detail = f"{folder}: {free} MB free"
    advice = "" if free >= DISK_FREE_MB else "free disk space; alarms are refused when the disk is full"
    return Finding("state", free >= DISK_FREE_MB, detail, advice)


def is_running(settings: Settings) -> bool:
    """Tell whether a gateway runs on this state directory."""
    folder = settings.state.dir.resolve()
    if not (folder / "gateway.lock").exists():
        return False
    try:
        with StateLock(folder / "gateway.lock"):
            return False
    except (ConfigError, OSError):
        return True


def ports(settings: Settings, *, running: bool) -> Finding:
    """Check that the ports are free, or held by the gateway itself."""
    if running:
        return Finding("ports", good=True, detail="the gateway runs")
    taken = [f"{key} {host}:{port}" for key, kind, host, port in _wanted(settings) if not _free(kind, host, port)]
    if taken:
        advice = "find the holder with `ss -lntup`, or choose other ports in the settings"
        return Finding("ports", good=False, detail=f"taken: {', '.join(taken)}", advice=advice)
    return Finding("ports", good=True, detail="free: " + ", ".join(str(w[3]) for w in _wanted(settings)))


def media(settings: Settings) -> Finding:
    """Check that peers can be told where the media worker is, and that it listens there."""
    wanted = settings.media
    try:
        told = zones.read(wanted.advertise or (wanted.host,))
        bound = zones.binding(told.addresses, wanted.host)
    except ConfigError as error:
        return Finding("media", good=False, detail=str(error), advice="correct media.advertise or media.host")
    by_zone = [f"{network}: {address}" for network, address in told.zoned]
    detail = f"listens on {', '.join(bound)}; told: {', '.join([*told.plain, *by_zone])}"
    return Finding("media", good=True, detail=detail)


def packet_path(settings: Settings) -> Finding:
    """Say which backend forwards packets; the compiled one is built as the start would, for a try where none ran."""
    wished, state_dir = settings.media.backend, settings.state.dir.resolve() / "media"
    with tempfile.TemporaryDirectory() as trial:
        chosen = choose(wished, state_dir if state_dir.is_dir() else Path(trial))
    if not chosen.reason:
        return Finding("media backend", good=True, detail=chosen.backend)
    detail = f"{chosen.backend}; compiled cannot be used: {chosen.reason}"
    advice = "sudo apt-get install gcc libc6-dev libssl3, or set media.backend to auto"
    return Finding("media backend", good=wished is not MediaBackend.COMPILED, detail=detail, advice=advice)


async def janus(settings: Settings) -> Finding:
    """Check that Janus is there and not too old: before 1.4.1 it lacks known repairs."""
    media = settings.media
    advice = "sudo apt-get install janus, or set media.janus_url"
    try:
        if media.janus_url is None:
            program = find_janus()
            version = await asyncio.to_thread(janus_version, program)
            detail = f"{program} {version}"
        else:
            advice = "start Janus there, or correct media.janus_url"
            async with JanusClient(media.janus_url, secret=janus_secret(media), timeout_s=JANUS_S) as client:
                async with asyncio.timeout(JANUS_S):
                    version = (await client.info()).version
            detail = f"{media.janus_url} answers, version {version}"
    except (SilianError, TimeoutError) as error:
        return Finding("janus", good=False, detail=str(error) or "Janus does not answer", advice=advice)
    if too_old(version):
        detail += ": before 1.4.1 there is no SRTP between two Januses, no check of consent, and known faults are open"
        return Finding("janus", good=False, detail=detail, advice="install Janus 1.4.1 or later")
    return Finding("janus", good=True, detail=detail)


def _wanted(settings: Settings) -> Iterator[tuple[str, int, str, int]]:
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    wanted = [
        ("http.port", tcp, settings.http.host, settings.http.port),
        ("management.port", tcp, settings.management.host, settings.management.port),
    ]
    media = settings.media
    for number in media.ports:
        wanted.append(("media.port", udp, media.host, number))
        if media.tcp:
            wanted.append(("media.port by TCP", tcp, media.host, number))
    if settings.broker.url is None:
        wanted.append(("broker.port", tcp, settings.broker.host, settings.broker.port))
    return (one for one in wanted if one[3])


def _free(kind: int, host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def broker(settings: Settings) -> Finding:
    """Check that a broker for production is there."""
    wanted = settings.broker
    if wanted.url is not None and wanted.kind in (BrokerKind.AUTO, BrokerKind.URL):
        return Finding("broker", good=True, detail=f"configured: {wanted.url.rpartition('@')[2]}")
    program = find_mosquitto()
    if wanted.kind is BrokerKind.EMBEDDED or program is None:
        detail = "embedded broker: good for a first look, not for production"
        return Finding("broker", good=False, detail=detail, advice="sudo apt-get install mosquitto")
    return Finding("broker", good=True, detail=f"mosquitto: {program}")


def certificates(settings: Settings) -> Iterator[Finding]:
    """Check the authority and what it issued to this gateway itself."""
    from cryptography import x509

    if not (settings.pki_dir / "ca.crt").exists():
        yield Finding("certificates", good=True, detail="made at the first start")
        return
    for name in ("ca", "broker", "gateway", "https"):
        file = settings.pki_dir / f"{name}.crt"
        if not file.exists():
            continue
        try:
            ends = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
        except (OSError, ValueError) as error:
            yield Finding(f"{name}.crt", good=False, detail=f"{file}: {error}", advice="restore it from the backup")
            continue
        days = (ends - datetime.now(UTC)).days
        key = file.with_suffix(".key")
        private = not key.exists() or key.stat().st_mode & 0o077 == 0
        advice = "" if days > SOON_DAYS else "restart the gateway: it renews its own certificates"
        advice = advice if private else f"chmod 600 {key}"
        yield Finding(f"{name}.crt", days > SOON_DAYS and private, f"{days} days left", advice)


def database(settings: Settings) -> Finding:
    """Check the PostgreSQL database: reached, durable, months made ahead."""
    found = condition(settings, datetime.now(UTC))
    return Finding("database", found.good, found.detail, found.advice)


def audit(settings: Settings) -> Finding:
    """Check the hash chain of the audit log."""
    columns = "seq, at, actor, action, target, outcome, address, previous, hash"
    try:
        rows = rows_of(settings, "audit", columns, "seq")
    except ConfigError as error:
        return Finding("audit", good=False, detail=str(error), advice="restore the database from the backup")
    if rows is None:
        return Finding("audit", good=True, detail="no database yet; made at the first start")
    verdict = verify(Record(*row) for row in rows)
    if verdict.fault is not None:
        advice = "keep a copy of the database and call the auditor: somebody changed the log"
        return Finding("audit", good=False, detail=verdict.fault, advice=advice)
    return Finding("audit", good=True, detail=f"{verdict.records} records, chain whole, head {verdict.head[:16]}")


def evidence(settings: Settings) -> Finding:
    """Check the chain of roll-call evidence and every file that it names."""
    try:
        verdict = chain_of_evidence(settings)
    except ConfigError as error:
        return Finding("evidence", good=False, detail=str(error), advice="restore the database from the backup")
    if verdict is None:
        return Finding("evidence", good=True, detail="no database yet; made at the first start")
    if verdict.fault is not None:
        advice = "keep a copy of the database and call the auditor: somebody changed the evidence"
        return Finding("evidence", good=False, detail=verdict.fault, advice=advice)
    blobs = FileBlobs(settings.state.dir.resolve() / "blobs")
    faults = [fault for name in sorted(verdict.files) if (fault := blobs.fault(name)) is not None]
    if faults:
        advice = "keep a copy of the state directory, call the auditor, restore the file from the backup"
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        return Finding("evidence", good=False, detail=faults[0] + more, advice=advice)
    detail = f"{verdict.links} links, {len(verdict.files)} files, all whole, head {verdict.head[:16]}"
    return Finding("evidence", good=True, detail=detail)


def chain_of_evidence(settings: Settings) -> ChainVerdict | None:
    """Check the chain of evidence, None where there is none yet; raises ConfigError."""
    columns = [one.name for one in fields(Link)]
    stored = {"taken_us": "taken_at", "at_us": "at"}
    listed = ", ".join(stored.get(name, name) for name in columns)
    rows = rows_of(settings, "roll_call_evidence", listed, "seq")
    if rows is None:
        return None
    check = ChainCheck()
    for row in rows:
        values = dict(zip(columns, row, strict=True))
        check.take(Link(**values | {"kind": EvidenceKind(values["kind"])}))
    return check.verdict


def console() -> Finding:
    """Check that the console is built."""
    if console_built():
        return Finding("console", good=True, detail="built")
    return Finding("console", good=False, detail="the console's pages are not built", advice="make console")


def first_login(settings: Settings) -> Finding:
    """Remind of the file with the first password."""
    file = settings.state.dir / "first-login.txt"
    if file.exists():
        return Finding("first login", good=True, detail=f"see {file}; delete it once the password is changed")
    return Finding("first login", good=True, detail="no first password lies about")


def identity(settings: Settings) -> Finding:
    """Check the identity towards the tier above."""
    from protocols.aio.enrol import certificate_life, load_identity

    try:
        known = load_identity(settings.identity_dir)
    except ConfigError as error:
        return Finding(
            "identity",
            good=False,
            detail=str(error),
            advice=f"silian enrol-token {settings.centre.code}  (at the tier above)",
        )
    if known is None:
        wanted = settings.upstream
        if wanted.token or (wanted.token_file is not None and wanted.token_file.is_file()):
            return Finding("identity", good=True, detail="not enrolled yet; a token is there for the first start")
        advice = f"at the tier above: silian enrol-token {settings.centre.code}; put it into upstream.token_file"
        return Finding("identity", good=False, detail="not enrolled, and no token", advice=advice)
    days = (certificate_life(known)[1] - datetime.now(UTC)).days
    advice = "" if days > 0 else "have a new token made at the tier above"
    return Finding("identity", days > 0, f"{known.node} at {known.gateway}, {days} days left", advice)


async def upstream(settings: Settings) -> Finding:
    """Check that the tier above answers and that the clocks agree."""
    import httpx

    url = (settings.upstream.url or "").rstrip("/")
    try:
        # Only reachability and the clock are looked at; nothing is sent that needs the authority to be checked.
        async with httpx.AsyncClient(verify=False, timeout=5.0, trust_env=False) as client:  # noqa: S501
            answer = await client.get(f"{url}/healthz")
    except httpx.HTTPError as error:
        advice = "check upstream.url and the network; the link itself never gives up"
        return Finding("upstream", good=False, detail=f"{url}: {error}", advice=advice)
    if "date" not in answer.headers:
        return Finding("upstream", good=True, detail=f"{url} answers")
    off = await asyncio.to_thread(_seconds_off, answer.headers["date"])
    advice = "" if abs(off) <= CLOCK_OFF_S else "set the clock: sudo timedatectl set-ntp true"
    return Finding("upstream", abs(off) <= CLOCK_OFF_S, f"{url} answers, clocks {off:+.0f} s apart", advice)


def _seconds_off(date: str) -> float:
    off = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    return 0.0 if 0 <= off < 1 else off  # the header has whole seconds
