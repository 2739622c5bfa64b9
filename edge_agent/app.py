"""The only place where the agent's parts are joined. `Agent.run` ends after `stop`, with everything on disk."""

import asyncio
import logging
import random
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent import network
from edge_agent.box import BoxWatch
from edge_agent.calls import Calls
from edge_agent.cameras import make_camera
from edge_agent.cameras.preview import Preview
from edge_agent.cameras.source import Camera
from edge_agent.clock_watch import ClockWatch
from edge_agent.diary import DiaryKeeper, carrier, reaches_itself
from edge_agent.faults import FaultSwitch
from edge_agent.identity import broker_address, keep_renewed, obtain_identity
from edge_agent.intake import Intake
from edge_agent.journal import Journal
from edge_agent.link import Link
from edge_agent.listeners import HttpListener
from edge_agent.management import management_routes
from edge_agent.media.publisher import Publisher, Source
from edge_agent.media.snapshot import Snapshots
from edge_agent.media.sound import SoundSource
from edge_agent.orders import Orders
from edge_agent.rollcall.desk import AnswerDesk
from edge_agent.rollcall.overlay import numbers
from edge_agent.rollcall.pin import PinDoor
from edge_agent.rollcall.responder import Responder
from edge_agent.rollcall.ringer import Ringer
from edge_agent.rollcall.web import AnswerPage, Centre
from edge_agent.sensors import make_sensor
from edge_agent.settings import CameraSettings, Settings
from protocols.aio.clock import Clock, SystemClock
from protocols.aio.enrol import Identity, certificate_life
from protocols.aio.notify import notify, watchdog_s
from protocols.aio.spool import MIB, Quota, Spool
from protocols.aio.tasks import Supervisor
from protocols.aio.testcard import tone_hz
from protocols.backoff import Backoff
from protocols.command import (
    CALL_ENDED,
    ROLLCALL_DETAILS,
    CallAnswer,
    CallEnd,
    CallRing,
    CommandName,
    MediaEcho,
    MediaEchoed,
    MediaPublish,
    MediaUnpublish,
    RollCallAnswer,
    RollCallDetails,
    RollCallRing,
    RollCallStage,
    parse_args,
)
from protocols.diary import NODE_RECORD, NodeRecord, Observation, dump
from protocols.envelope import Lane
from protocols.errors import ConfigError, NotFoundError, SilianError, SpoolFullError
from protocols.health import BoxHealth, CameraHealth, CameraInfo, Catalogue, Heartbeat
from protocols.ids import stream_of

if TYPE_CHECKING:
    from edge_agent.sensors.idempotency import Requests

logger = logging.getLogger(__name__)
TICK_S = 1.0
BOX_S = 5.0
GOODBYE_S = 4.0
JOIN_RETRY = Backoff(base=2.0, cap=30.0, floor=1.0)


def version() -> str:
    """Return the version of the installed distribution, `0` from a bare source tree."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("silian")
    except PackageNotFoundError:
        return "0"


def prepare_state(directory: Path) -> None:
    """Make the state directory; raises ConfigError where it cannot be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = directory / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise ConfigError(f"state.dir {directory}: {error.strerror}; make it writable for this user") from None


class Agent:
    """One agent. Make it in the loop, `run` once; `stop` from a signal handler or a test; `ready` says all works."""

    def __init__(self, settings: Settings, clock: Clock | None = None, box: BoxWatch | None = None) -> None:
        """Join nothing yet. `box` looks at the machine below, None: at this one."""
        self.settings = settings
        self.node = settings.node.id
        self.clock: Clock = clock or SystemClock()
        self.ready = asyncio.Event()
        self.tasks = Supervisor("agent", clock=self.clock)
        self.cameras: dict[str, Camera] = {
            stream_of(settings.centre, chosen.name): make_camera(chosen, settings.centre) for chosen in settings.cameras
        }
        self.sounds = self._make_sounds()
        self.box = BoxHealth()
        self.webhook: HttpListener | None = None
        self.management: HttpListener | None = None
        self.answer_page: HttpListener | None = None
        self.door: PinDoor | None = None
        self.certificate_ends: float | None = None
        self._stopping = asyncio.Event()
        self._requests: Requests | None = None
        self.clock_watch = ClockWatch()
        self._box_watch = box or BoxWatch(settings.state.dir)
        self._faults = FaultSwitch(settings.state.dir, self.cameras)

    def stop(self) -> None:
        """Ask `run` to drain and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`. Raises ConfigError for settings that cannot work."""
        prepare_state(self.settings.state.dir)
        chosen = self.settings.state
        quota = Quota(total=chosen.quota_mb * MIB, ballast=chosen.ballast_mb * MIB, history_s=chosen.history_h * 3600.0)
        self.spool = await Spool.open(chosen.dir / "spool.sqlite3", clock=self.clock, quota=quota)
        try:
            self._join_parts()
            self._open_listeners()
            async with self.tasks:
                self._start()
                self.ready.set()
                notify("READY=1")
                logger.info("agent ready", extra={"node": self.node, "cameras": len(self.cameras)})
                await self._stopping.wait()
                notify("STOPPING=1")
                await self._drain()
        finally:
            await self._close()
            logger.info("agent stopped", extra={"node": self.node})

    def _make_sounds(self) -> dict[str, SoundSource]:
        tone, centre = tone_hz(self.settings.centre), self.settings.centre
        kinds = {"tone": "tone", "input": self.settings.audio.input}
        return {
            stream_of(centre, chosen.name): SoundSource(kinds[chosen.audio], tone)
            for chosen in self.settings.cameras
            if chosen.audio in kinds
        }

    def _join_parts(self) -> None:
        self.intake = Intake(self.node, self.spool, self.clock, self.settings.intake.per_sensor_per_minute)
        self._join_pictures()
        self._join_answering()
        self.orders = Orders(
            {
                CommandName.MEDIA_PUBLISH: self._publish,
                CommandName.MEDIA_UNPUBLISH: self._unpublish,
                CommandName.MEDIA_ECHO: self._echo,
                CommandName.ROLLCALL_RING: self._roll_call,
                CommandName.ROLLCALL_STAGE: self._stage,
                CommandName.CALL_RING: self._call,
                CommandName.CALL_END: self._end_call,
            },
            self.clock,
            Journal(self.settings.state.dir / "open-commands"),
        )
        self.link = Link(
            self.node,
            version(),
            self.spool,
            self.orders,
            self.clock,
            self.tasks,
            heartbeat=self._heartbeat,
            catalogue=self.catalogue,
        )
        self.diary = DiaryKeeper(self.settings.state.dir, self.node, self.clock, self._owe_record)
        self.link.changed = self.diary.link
        self.desk.tell = self._tell_details

    def _join_pictures(self) -> None:
        sources = {
            stream: Source(
                camera.feed,
                self.sounds[stream].feed if stream in self.sounds else None,
                camera.thumb,
                camera.bounds(),
                camera.steer,
            )
            for stream, camera in self.cameras.items()
        }
        self.publisher = Publisher(sources, self.clock, self.tasks)
        self.previews = {stream: Preview(camera.feed) for stream, camera in self.cameras.items()}
        self.snapshots = Snapshots(self.publisher, self.previews, self.clock)

    def _join_answering(self) -> None:
        answer, output = self.settings.answer, self.settings.audio.output
        self.desk = AnswerDesk(self.settings.state.dir, Ringer(output, answer.announce), self.clock, self.tasks)
        self.calls = Calls(tuple(self.cameras), answer, output, self.clock, self.tasks, self.desk)
        self.responder = Responder(
            self.cameras,
            self.desk,
            self.clock,
            lambda: self.box,
            answered_by=answer.answered_by,
            asks=answer.policy == "ring",
        )

    def _open_listeners(self) -> None:
        chosen = self.settings.management
        self.management = HttpListener("management", chosen.host, chosen.port, management_routes(self))
        self.management.open()
        if self.settings.answer_page.enabled:
            self._open_answer_page()
        if not self.settings.webhook.enabled:
            return
        from edge_agent.sensors.idempotency import Requests
        from edge_agent.sensors.keeper import Keeper
        from edge_agent.sensors.webhook import Webhook, WebhookTable, read_secret

        hook = self.settings.webhook
        if hook.secret_file is None:
            raise ConfigError("webhook.secret_file is missing")
        secret = read_secret(hook.secret_file)
        self._requests = Requests(self.settings.state.dir / "requests.sqlite3")
        keeper = Keeper(WebhookTable(hook.sensors, hook.silent_after_s), self.intake, self.clock)
        self.tasks.start("webhook silence", keeper.watch)
        webhook = Webhook(self.intake, self._requests, secret, self.clock, keeper)
        self.webhook = HttpListener("webhook", hook.host, hook.port, [*webhook.routes(), *management_routes(self)[:2]])
        self.webhook.open()

    def _open_answer_page(self) -> None:
        chosen = self.settings.answer_page
        self.door = PinDoor(self.settings.state.dir, chosen.pin_file, self.clock)
        page = AnswerPage(
            self.desk,
            self.calls,
            self.door,
            self.clock,
            {camera.name: self.previews[stream] for stream, camera in self.cameras.items()},
            node=self.node,
            asks=self.settings.answer.policy == "ring",
            centre=Centre(lambda: self.link.up, self._tell_hang_up),
        )
        self.answer_page = HttpListener("answer_page", chosen.host, chosen.port, page.routes())
        self.answer_page.open()

    def _start(self) -> None:
        for camera in self.cameras.values():
            camera.start()
        for sound in self.sounds.values():
            sound.start()
        for listener in (self.management, self.webhook, self.answer_page):
            if listener is not None:
                self.tasks.start(f"http {listener.what}", listener.run)
        for sensor in self.settings.sensors:
            source = make_sensor(sensor, self.node, self.intake, self.clock)
            self.tasks.start(f"sensor {sensor.name}", source.run)
        self.tasks.start("floods", self.intake.watch)
        self.tasks.start("tick", self._tick)
        self.tasks.start("answer desk", self.desk.run)
        self.tasks.start("link", self._join)
        self.tasks.start("snapshots", self.snapshots.run)
        self.tasks.start("network", lambda: network.watch(self._network_changed))

    def _network_changed(self, moved: bool) -> None:  # noqa: FBT001 - the one thing that is told
        if self.link.uplink is not None:
            self.link.uplink.network_is_back()
        if moved:
            self.publisher.network_moved()
        else:
            self.publisher.network_is_back()

    async def _join(self) -> None:
        """Enrol where needed, then keep the link."""
        # A county that shows as connected is asked for its picture at once: be ready to publish before the link is up.
        identity, _ = await asyncio.gather(self._enrolled(), _warm())
        self.publisher.verify = self.calls.verify = identity.http_context()
        self.certificate_ends = certificate_life(identity)[1].timestamp()
        if not self.tasks.running("renewal"):
            self.tasks.start("renewal", lambda: keep_renewed(self.settings, self.clock))
        await self.link.run(lambda: broker_address(identity, self.settings.gateway))

    async def _enrolled(self) -> Identity:
        """Return the identity; what an operator must heal is said again and again, not given up."""
        attempt = 0
        while True:
            try:
                return await obtain_identity(self.settings, self.clock)
            except SilianError as error:
                logger.error("not enrolled", extra={"node": self.node, "code": error.code, "detail": str(error)})
            await self.clock.sleep(JOIN_RETRY.delay(attempt, random.random()))  # noqa: S311 - jitter, no secret
            attempt += 1

    async def _tick(self) -> None:
        box_at, watchdog = 0.0, watchdog_s()
        while True:
            now = time.monotonic()
            if now - box_at >= BOX_S:
                box_at, self.box = now, await self._look_at_box()
                await self._look_at_self()
            self._faults.look()
            self._show_numbers()
            await self._watch_clock()
            for camera in self.cameras.values():
                await camera.tick(now)
            if watchdog is not None:
                notify("WATCHDOG=1")
            await self.clock.sleep(min(TICK_S, watchdog or TICK_S))

    async def _watch_clock(self) -> None:
        report = self.clock_watch.look(self.clock.now(), self.clock.monotonic())
        if report is None:
            return
        logger.warning("clock", extra={"node": self.node, "condition": report.condition, "step_s": report.value})
        try:
            await self.intake.take([report], "clock")
        except SpoolFullError as error:
            self.intake.refused(error.code, "clock", str(error))

    async def _look_at_box(self) -> BoxHealth:
        figures = await self.spool.figures()
        return self._box_watch.look().model_copy(
            update={
                "spool_records": sum(figures.depth.values()),
                "spool_oldest_at": figures.oldest_at,
                "spool_bytes": figures.used_bytes,
            }
        )

    async def _look_at_self(self) -> None:
        now, wall = time.monotonic(), self.clock.now()
        door = self.management.port if self.management is not None else None
        seen = Observation(
            at=wall,
            on_battery=self.box.on_battery,
            battery_ratio=self.box.battery_ratio,
            loopback=await reaches_itself(door),
            network=await asyncio.to_thread(carrier),
            cameras={camera.name: camera.health(now, wall).verdict for camera in self.cameras.values()},
        )
        await self.diary.look(seen)

    async def _owe_record(self, event_id: str, record: NodeRecord) -> None:
        await self.link.put(Lane.LIVE, NODE_RECORD, dump(record), event_id)

    def _show_numbers(self) -> None:
        """Burn the challenge number into the pictures that this box codes, while a roll call asks for it."""
        wanted = numbers(self.desk.turns) if self.settings.answer.overlay else {}
        for stream, camera in self.cameras.items():
            camera.number = wanted.get(stream)

    async def _heartbeat(self, number: int) -> Heartbeat:
        now, wall = time.monotonic(), self.clock.now()
        return Heartbeat(
            node=self.node,
            sent_at=wall,
            number=number,
            box=self.box,
            cameras={camera.name: self._health(camera, now, wall) for camera in self.cameras.values()},
            publishing=self.publisher.names(),
        )

    def _health(self, camera: Camera, now: float, wall: datetime) -> CameraHealth:
        """Return the camera's own view; a fault of its line or its sound is told where the camera itself has none."""
        health = camera.health(now, wall)
        if health.fault is not None:
            return health
        sound = self.sounds.get(stream_of(self.settings.centre, camera.name))
        thin = "line_thin" if self.publisher.thin(camera.name) else None
        fault = thin or (sound and sound.trouble) or self.calls.trouble(camera.name)
        return health.model_copy(update={"fault": fault}) if fault else health

    def catalogue(self) -> Catalogue:
        """Return what the tiers above are told of this node."""
        cameras = tuple(self._info(camera.settings) for camera in self.cameras.values())
        return Catalogue(node=self.node, version=version(), cameras=cameras)

    def _info(self, chosen: CameraSettings) -> CameraInfo:
        return CameraInfo(
            centre=self.settings.centre,
            name=chosen.name,
            title=chosen.title or chosen.name,
            kind=chosen.kind,
            label=chosen.label,
            foreign_ids=chosen.foreign_ids,
            share=chosen.share,
        )

    async def _publish(self, args: dict[str, Any]) -> None:
        self.publisher.publish(parse_args(MediaPublish, args))

    async def _unpublish(self, args: dict[str, Any]) -> None:
        await self.publisher.unpublish(parse_args(MediaUnpublish, args).stream)

    async def _echo(self, args: dict[str, Any]) -> MediaEchoed:
        asked = parse_args(MediaEcho, args)
        if asked.stream not in self.cameras:
            raise NotFoundError(f"no camera {asked.stream} here")
        from edge_agent.media.echo import echo

        return await echo(asked, self.clock, self.publisher.verify)

    async def _roll_call(self, args: dict[str, Any]) -> RollCallAnswer:
        return await self.responder.respond(parse_args(RollCallRing, args))

    async def _stage(self, args: dict[str, Any]) -> None:
        self.desk.staged(parse_args(RollCallStage, args))
        self._show_numbers()

    async def _tell_details(self, details: RollCallDetails) -> None:
        await self.link.tell(Lane.LIVE, ROLLCALL_DETAILS, details.model_dump(mode="json"))

    async def _tell_hang_up(self, end: CallEnd) -> None:
        await self.link.tell(Lane.URGENT, CALL_ENDED, end.model_dump(mode="json"))

    async def _call(self, args: dict[str, Any]) -> CallAnswer:
        return await self.calls.ring(parse_args(CallRing, args))

    async def _end_call(self, args: dict[str, Any]) -> None:
        await self.calls.end(parse_args(CallEnd, args))

    async def _drain(self) -> None:
        """Take no more from sensors, let pictures go, say goodbye; the spool keeps what could not be sent."""
        logger.info("draining", extra={"node": self.node})
        for sensor in self.settings.sensors:
            await self.tasks.cancel(f"sensor {sensor.name}")
        for listener in (self.answer_page, self.webhook, self.management):
            if listener is not None:
                await listener.stop()
        for stream in self.cameras:
            await self.publisher.unpublish(stream)
        await self.diary.close()
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self.link.stop()
        except TimeoutError:
            logger.warning("gateway did not hear the goodbye", extra={"node": self.node})

    async def _close(self) -> None:
        await asyncio.gather(*(camera.stop() for camera in self.cameras.values()))
        for sound in self.sounds.values():
            await asyncio.to_thread(sound.stop)
        for listener in (self.answer_page, self.webhook, self.management):
            if listener is not None:
                listener.close()
        if self._requests is not None:
            self._requests.close()
        await self.spool.close()


async def _warm() -> None:
    """Import what the first publishing needs, beside the loop; without it alarms still flow and pictures say why."""
    try:
        await asyncio.to_thread(__import__, "edge_agent.media.warm")
    except ImportError as error:
        logger.warning("media libraries missing", extra={"reason": str(error)})
