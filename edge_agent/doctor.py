"""`silian-agent doctor`: what is missing on this box and what to type. Each check is one line, good or not."""

import asyncio
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from edge_agent.cameras.advice import advice
from edge_agent.identity import broker_address, identity_dir, read_token
from edge_agent.rollcall.pin import read_pin
from edge_agent.rollcall.speech import find_speaker
from edge_agent.settings import CameraSettings, Settings
from protocols.aio.owners import OURS, owners
from protocols.errors import SilianError

CAMERA_S = 8.0
CLOCK_OFF_S = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `advice` says what to do where it is not good."""

    name: str
    good: bool
    detail: str
    advice: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Run all checks, in the order in which they should be healed."""
    found = [
        owner(),
        state(settings),
        webhook(settings),
        answer_page(settings),
        prompt(settings),
        identity(settings),
        *await gateway(settings),
        await broker(settings),
    ]
    return found + [await camera_opens(camera, settings.centre) for camera in settings.cameras]


def owner() -> Finding:
    """Check that the imported package `edge_agent` is ours: the name is also somebody else's on PyPI."""
    own = owners(["edge_agent"])["edge_agent"]
    others = [name for name in own if name.lower() != OURS]
    if others:
        advice = f"pip uninstall {' '.join(others)}; then install silian again, in an environment of its own"
        return Finding("package", good=False, detail=f"edge_agent also belongs to {', '.join(others)}", advice=advice)
    return Finding("package", good=True, detail="edge_agent is silian's" if own else "running from a source tree")


def state(settings: Settings) -> Finding:
    """Check that the state directory can be written and has room."""
    directory = settings.state.dir
    nearest = next((path for path in (directory, *directory.parents) if path.exists()), directory)
    if not os.access(nearest, os.W_OK | os.X_OK):
        advice = f"sudo install -d -o $USER -m 700 {directory}"
        return Finding("state", good=False, detail=f"{directory} cannot be written by this user", advice=advice)
    free = shutil.disk_usage(nearest).free // 2**20
    needed = settings.state.quota_mb + settings.state.ballast_mb
    detail = f"{directory}: {free} MB free, the spool may take {needed} MB"
    return Finding("state", free >= needed, detail, "" if free >= needed else "free disk space or lower state.quota_mb")


def webhook(settings: Settings) -> Finding:
    """Check the webhook's secret."""
    if not settings.webhook.enabled or settings.webhook.secret_file is None:
        return Finding("webhook", good=True, detail="off")
    from edge_agent.sensors.webhook import read_secret

    try:
        read_secret(settings.webhook.secret_file)
    except SilianError as error:
        file = settings.webhook.secret_file
        return Finding("webhook", good=False, detail=str(error), advice=f"head -c 32 /dev/urandom | base64 > {file}")
    return Finding("webhook", good=True, detail=f"http://{settings.webhook.host}:{settings.webhook.port}/ingest/alarms")


def identity(settings: Settings) -> Finding:
    """Check certificate, or else the token that will get one."""
    from protocols.aio.enrol import certificate_life, load_identity

    node = settings.node.id
    advice = f"at the gateway: silian enrol-token {node}; put it into gateway.enrolment_token_file"
    try:
        found = load_identity(identity_dir(settings))
        if found is None:
            has_token = read_token(settings.gateway) is not None
            detail = "not enrolled yet, a token is there" if has_token else "not enrolled and no token"
            return Finding("identity", has_token, detail, "" if has_token else advice)
        ends = certificate_life(found)[1]
    except SilianError as error:
        return Finding("identity", good=False, detail=str(error), advice=advice)
    if found.node != node:
        detail = f"certificate is for {found.node}, node.id is {node}"
        return Finding("identity", good=False, detail=detail, advice=f"rm -r {identity_dir(settings)}; {advice}")
    good = ends > datetime.now(UTC)
    return Finding("identity", good, f"certificate of {node} ends {ends:%Y-%m-%d %H:%M} UTC", "" if good else advice)


async def gateway(settings: Settings) -> list[Finding]:
    """Check that the gateway answers, and compare clocks."""
    import httpx

    from protocols.aio.enrol import load_identity

    url = f"{settings.gateway.url}/healthz"
    try:
        known = load_identity(identity_dir(settings))
        context = known.http_context() if known else None
        async with httpx.AsyncClient(verify=context or False, timeout=5, trust_env=False) as client:
            asked_at = datetime.now(UTC)
            answer = await client.get(url)
            middle = asked_at + (datetime.now(UTC) - asked_at) / 2
    except (httpx.HTTPError, SilianError) as error:
        advice = "check gateway.url, the line and the firewall"
        return [Finding("gateway", good=False, detail=f"{url}: {error or type(error).__name__}", advice=advice)]
    found = [Finding("gateway", good=answer.is_success, detail=f"{url} answered {answer.status_code}")]
    if "date" in answer.headers:
        found.append(clock((middle - parsedate_to_datetime(answer.headers["date"])).total_seconds() - 0.5))
    return found


async def broker(settings: Settings) -> Finding:
    """Check that the broker lets this node in with its certificate."""
    from protocols.aio.enrol import load_identity

    try:
        found = load_identity(identity_dir(settings))
    except SilianError as error:
        return Finding("broker", good=False, detail=str(error))
    if found is None:
        return Finding("broker", good=True, detail="known after enrolment")
    address = broker_address(found, settings.gateway)
    where = f"{address.host}:{address.port}"
    try:
        context = address.tls.context() if address.tls else None
        async with asyncio.timeout(5):
            _, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    except (OSError, TimeoutError) as error:
        advice = f"open TCP port {address.port} towards {address.host} in the firewall"
        return Finding("broker", good=False, detail=f"{where}: {error or 'no answer'}", advice=advice)
    writer.close()
    return Finding("broker", good=True, detail=f"{where} takes our certificate")


def clock(off_s: float) -> Finding:
    """Judge how far this clock is ahead of the gateway's (its header counts whole seconds)."""
    good = abs(off_s) <= CLOCK_OFF_S
    return Finding("clock", good, f"{off_s:+.0f} s against the gateway", "" if good else "timedatectl set-ntp true")


def answer_page(settings: Settings) -> Finding:
    """Check that a PIN can be read, and that the page stays on this box: it has no TLS of its own."""
    chosen = settings.answer_page
    if not chosen.enabled:
        return Finding("answer page", good=True, detail="off: calls are answered by policy")
    if chosen.pin_file is not None:
        try:
            read_pin(chosen.pin_file)
        except SilianError as error:
            return Finding("answer page", good=False, detail=str(error), advice="write a PIN into that file")
    where = f"http://{chosen.host}:{chosen.port}"
    if chosen.host not in ("127.0.0.1", "::1", "localhost"):
        advice = "keep host = 127.0.0.1, or let only the duty room's screen reach this port: the PIN is sent in clear"
        return Finding("answer page", good=False, detail=f"{where} is open to the network", advice=advice)
    return Finding("answer page", good=True, detail=where)


def prompt(settings: Settings) -> Finding:
    """Check that a spoken prompt can be made where one is wanted; without it the tones ring alone."""
    if settings.answer.announce != "voice" or settings.audio.output == "null":
        return Finding("prompt", good=True, detail="not spoken by these settings")
    program = find_speaker()
    if program is None:
        return Finding("prompt", good=False, detail="no espeak-ng: tones ring alone", advice="apt install espeak-ng")
    return Finding("prompt", good=True, detail=f"spoken by {program}")


async def camera_opens(chosen: CameraSettings, centre: str) -> Finding:
    """Open a camera and wait for its first picture."""
    from edge_agent.cameras import make_camera

    name = f"camera {chosen.name}"
    camera = make_camera(chosen, centre)
    camera.start()
    try:
        end = time.monotonic() + CAMERA_S
        while time.monotonic() < end:
            health = camera.health(time.monotonic(), datetime.now(UTC))
            if health.frame_age_ms is not None:
                told = advice(health.fault)
                return Finding(name, good=not told, detail=f"{chosen.kind} gives pictures", advice=told)
            await asyncio.sleep(0.1)
        return Finding(name, good=False, detail=f"no picture: {camera.trouble}", advice=advice(camera.trouble))
    finally:
        await camera.stop()


def lines(found: list[Finding]) -> Iterator[str]:
    """Yield what the operator reads."""
    for finding in found:
        yield f"{'✓' if finding.good else '✗'} {finding.name}: {finding.detail}"
        if finding.advice:
            yield f"    {finding.advice}"
