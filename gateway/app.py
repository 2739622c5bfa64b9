"""One gateway, put together: the only place where adapters are chosen and rooms are introduced to each other.

::

    Gateway
    ├── store, blobs, media engine, broker          adapters, chosen from the settings
    ├── registry, links, alarms, escalation,
    │   federation                                  the heart: what comes in, who is told, what is owed
    ├── reports, warning, orders                    what is told upward, to the public and down, and until when
    ├── media, recordings, rollcall, dispatch       pictures and people
    ├── users, audit, enrolment                     who may
    └── site (console, API), management             two listeners

Starting goes from the inside out, stopping the other way round: nobody is served by a part that is not there.
"""

import asyncio
import importlib.metadata
import logging
import ssl
from contextlib import AsyncExitStack, nullcontext
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from fastapi import FastAPI

from gateway.adapters.blob_files import FileBlobs
from gateway.adapters.broker_choice import announced, choose_broker
from gateway.adapters.bus_choice import choose_bus
from gateway.adapters.media_choice import ReplicaMedia, choose_engine
from gateway.adapters.notify_choice import choose_channels
from gateway.adapters.paper_files import PaperFiles
from gateway.adapters.store_choice import choose_store
from gateway.alarms.api import routes as alarm_routes
from gateway.alarms.bulletins import Bulletins
from gateway.alarms.cap import parse as parse_cap
from gateway.alarms.clock_watch import ClockWatch
from gateway.alarms.feeds import Feeds
from gateway.alarms.link_watch import LinkWatch
from gateway.alarms.service import Alarms
from gateway.alarms.shelf_watch import ShelfWatch
from gateway.audit.api import routes as audit_routes
from gateway.audit.service import Audit
from gateway.dispatch.api import routes as dispatch_routes
from gateway.dispatch.needs import DispatchNeeds
from gateway.dispatch.service import DispatchRules, DispatchService
from gateway.duty.api import routes as duty_routes
from gateway.duty.deeds_api import deed_routes
from gateway.duty.needs import DutyNeeds
from gateway.duty.service import DutyService
from gateway.enrolment.api import routes as enrolment_routes
from gateway.enrolment.authority import Authority
from gateway.enrolment.service import Enrolment
from gateway.escalation.api import routes as escalation_routes
from gateway.escalation.errands import Errands
from gateway.escalation.needs import EscalationNeeds
from gateway.escalation.service import Escalation
from gateway.events import EventBus
from gateway.federation.service import Federation, Upstream
from gateway.figures import Parts, install_figures
from gateway.introductions import introduce
from gateway.links.api import routes as links_routes
from gateway.links.service import Links
from gateway.media.api import routes as media_routes
from gateway.media.machine import Kind
from gateway.media.needs import MediaNeeds
from gateway.media.service import MediaService
from gateway.media.wall_api import routes as wall_routes
from gateway.membership import Membership, make_keys, shared_start
from gateway.metrics import Metrics
from gateway.open_items import Open
from gateway.orders.api import routes as order_routes
from gateway.orders.office import TIMER as ORDER_LINE
from gateway.orders.office import OrderNeeds, OrderOffice
from gateway.orders.printing import OrderPrinter
from gateway.ports.store import Store
from gateway.recordings.api import routes as recording_routes
from gateway.recordings.machine import Quota
from gateway.recordings.needs import RecordingNeeds
from gateway.recordings.service import RecordingService
from gateway.registry.api import BrokerFacts, Facts, MediaFacts, UpperView
from gateway.registry.api import routes as registry_routes
from gateway.registry.service import Registry
from gateway.replicas.api import routes as replica_routes
from gateway.reports.api import routes as report_routes
from gateway.reports.deadlines import load_profile
from gateway.reports.inbox import Inbox
from gateway.reports.needs import ReportNeeds
from gateway.reports.printing import Printer
from gateway.reports.service import Reports
from gateway.rollcall.evidence_api import evidence_routes
from gateway.rollcall.needs import RollCallNeeds
from gateway.rollcall.notices import Notices
from gateway.rollcall.planner import Planner
from gateway.rollcall.plans_api import routes as rollcall_routes
from gateway.rollcall.press.api import routes as press_routes
from gateway.rollcall.press.inbox import Inbox as UnitDesk
from gateway.rollcall.press.needs import PressNeeds
from gateway.rollcall.press.service import Press
from gateway.rollcall.proofs import ProofNeeds, Proofs
from gateway.rollcall.rosters import DutyRosters
from gateway.rollcall.rules.profiles import Profile
from gateway.rollcall.service import RollCallService
from gateway.screen import renderers
from gateway.settings import AnswerPolicy, Settings
from gateway.state_lock import StateLock
from gateway.users.api import routes as user_routes
from gateway.users.service import Users
from gateway.warning.api import routes as warning_routes
from gateway.warning.calls import TIMER as WARNING_CALL
from gateway.warning.calls import Calls
from gateway.warning.desk import WarningDesk
from gateway.warning.inbox import WarningInbox
from gateway.warning.needs import WarningNeeds
from gateway.warning.public_api import public_routes
from gateway.warning.service import Warnings
from gateway.web.application import Site, build_site
from gateway.web.keys import load_or_make_key
from gateway.web.management import build_management, watch_loop
from gateway.web.media_tokens import MediaTokens
from gateway.web.server import HttpServer, Listen
from gateway.web.stream import EventStream
from gateway.web.stream import routes as stream_routes
from protocols.aio.clock import Clock, SystemClock
from protocols.aio.enrol import load_identity
from protocols.aio.tasks import Supervisor

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

logger = logging.getLogger(__name__)


def version() -> str:
    """Return the installed version, `0` from a source tree that is not installed."""
    try:
        return importlib.metadata.version("silian")
    except importlib.metadata.PackageNotFoundError:
        return "0"


class Gateway:
    """One running gateway. `async with Gateway(settings)`; raises ConfigError, NeedsError where it cannot start."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.node = settings.centre.code
        self.clock = clock or SystemClock()
        self.table = settings.centres()
        self.events = EventBus()
        self.metrics = Metrics()
        self.tasks = Supervisor("gateway", clock=self.clock)
        self._above: ssl.SSLContext | None = None
        self._stack = AsyncExitStack()
        self._state, self._shared = settings.state.dir.resolve(), settings.shared_dir.resolve()
        self._foundations()
        self._heart()
        self._pictures()
        self._doors()
        introduce(self)

    # what it is made of

    def _foundations(self) -> None:
        self._state.mkdir(parents=True, exist_ok=True)
        self._lock = StateLock(self._state / "gateway.lock")
        self.blobs = FileBlobs(self._shared / "blobs")
        self.paper = PaperFiles(self.settings.reports.font)
        alone = self.settings.replica.name is None
        with nullcontext() if alone else shared_start(self.settings):
            self._identify()
            if not alone:
                make_keys(self.settings)
        self.member = None if alone else self._membership()
        engine = partial(choose_engine, self.settings, self._trust_above)
        self.engine = engine() if self.member is None else self.member.spread(engine(self.member.trust))
        self.replaced = asyncio.Event() if self.member is None else self.member.ended
        tell = self.events.publish if self.member is None else self.member.bridge.tell
        self._database = choose_store(self.settings, self.clock, tell)
        self.store: Store = self._database if self.member is None else self.member.fence(self._database)

    def _identify(self) -> None:
        now, wanted = self.clock.now(), self.settings.broker
        self.authority = Authority.load(self.settings.pki_dir, self.node, now)
        listener = self.authority.server_files("broker", (wanted.host, *wanted.names), now)
        self._client = self.authority.client_files(now)
        self.broker = choose_broker(self.settings, listener, self._client)

    def _membership(self) -> Membership:
        return Membership(
            self.settings,
            choose_bus(self.settings, self._client, self.clock),
            self.events,
            self.clock,
            self.metrics,
            version=version(),
            authority=self._client.ca,
            spreading=ReplicaMedia(),
        )

    def _heart(self) -> None:
        self.registry = Registry(self.table, self.node, self.store, self.events, self.clock)
        self.links = Links(
            node=self.node,
            store=self.store,
            clock=self.clock,
            directory=self.registry,
            counts=self.metrics,
            broker=lambda: self.broker.address,
            has_upper=self.settings.upstream.url is not None,
            branches=self.member.replicas if self.member is not None else None,
        )
        self.alarms = Alarms(self.store, self.links, self.registry, self.metrics, self.clock)
        self.bulletins = Bulletins(self.store, self.links, self.registry, self.metrics)
        warning = self.settings.warning
        trust = ssl.create_default_context(cafile=warning.feeds_authority) if warning.feeds_authority else None
        self.feeds = Feeds(warning.feeds, self.bulletins, self.alarms, self.clock, self.metrics, trust=trust)
        self.escalation = self._chains()
        self.alarms.follow(self.escalation.follow)
        self.federation = self._upstream()
        self.reports = Reports(
            ReportNeeds(self.store, self.links, self.registry, self.alarms, self.clock, self.metrics),
            load_profile(self.settings.reports.profile),
            has_upper=self.settings.upstream.url is not None,
        )
        self.report_inbox = Inbox(self.reports)
        self._warnings()

    def _warnings(self) -> None:
        self.errands = Errands(self.store, self.clock, self.escalation.watch)
        key = load_or_make_key(self._shared / "keys" / "node.key")
        needs = WarningNeeds(
            store=self.store,
            outgoing=self.links,
            letters=self.escalation.letters,
            timers=self.errands,
            area=self.registry,
            paper=self.paper,
            clock=self.clock,
            metrics=self.metrics,
            settings=self.settings.warning,
            key=key,
            parse=parse_cap,
            base_url=lambda: self.base_url,
        )
        calls = Calls(needs)
        self.warnings, self.warning_desk = Warnings(needs, calls), WarningDesk(needs)
        self.warning_inbox = WarningInbox(needs, self.warnings)
        self.errands.on(WARNING_CALL, calls.ring)
        self.escalation.letters.follow(self.warnings.on_receipt)
        self.bulletins.follow(self.warning_inbox.on_taken)
        self._orders(key)

    def _orders(self, key: "Ed25519PrivateKey") -> None:
        needs = OrderNeeds(
            self.store,
            self.links,
            self.escalation.letters,
            self.errands,
            self.registry,
            lambda: self.duty,
            self.clock,
            self.metrics,
            self.settings.orders,
            key,
        )
        self.orders = OrderOffice(needs)
        self.errands.on(ORDER_LINE, self.orders.reminding.ring)

    def _chains(self) -> Escalation:
        wanted = self.settings.notify
        needs = EscalationNeeds(
            store=self.store,
            alarms=self.alarms,
            area=self.registry,
            channels=choose_channels(wanted, self.events, lambda: self.stream.subscribers),
            clock=self.clock,
            metrics=self.metrics,
            has_upper=self.settings.upstream.url is not None,
            sole=self.settings.replica.name is None,
        )
        return Escalation(needs, per_minute=wanted.per_minute)

    def _upstream(self) -> Federation | None:
        wanted = self.settings.upstream
        if wanted.url is None:
            return None
        upstream = Upstream(wanted.url, self.settings.identity_dir, self._upstream_token, version(), wanted.broker)
        return Federation(
            upstream, node=self.node, store=self.store, clock=self.clock, events=self.events, below=self.links
        )

    def _trust_above(self) -> ssl.SSLContext | None:
        """Trust for media sessions with the tier above: the authority pinned at enrolment, None on plain loopback."""
        if self._above is None:
            identity = load_identity(self.settings.identity_dir)
            self._above = identity.http_context() if identity is not None else None
        return self._above

    def _upstream_token(self) -> str | None:
        wanted = self.settings.upstream
        if wanted.token_file is not None and wanted.token_file.is_file():
            return wanted.token_file.read_text("utf-8").strip() or None
        return wanted.token

    def _pictures(self) -> None:
        tokens = MediaTokens.load(self._shared / "keys" / "media.key", self.node)
        clock, store = self.clock, self.store
        needs = MediaNeeds(
            self.engine, self.registry, self.links, tokens, clock, self.events, self.metrics, store, self._trust_above
        )
        self.media = MediaService(needs, node=self.node, base_url=lambda: self.base_url)
        self.audit = Audit(self.store, self.metrics)
        self.recordings = RecordingService(
            RecordingNeeds(
                self.store,
                self.engine,
                self.media.holding(Kind.RECORDING),
                self.registry,
                self.clock,
                self.metrics,
            ),
            self._shared / "recordings",
            Quota(self.settings.media.recording_gib),
        )
        self._people()

    def _people(self) -> None:
        wanted = self.settings.rollcall
        pictures = self.media.holding(Kind.ROLL_CALL)
        clips, clock, store = self._state / "clips", self.clock, self.store
        needs = ProofNeeds(store, self.blobs, self.registry, pictures, self.engine, clock, self.metrics, clips)
        self.proofs = Proofs(needs, wanted)
        self.rollcall = RollCallService(
            RollCallNeeds(
                store=self.store,
                blobs=self.blobs,
                ways=self.registry,
                commands=self.links,
                pictures=pictures,
                clock=self.clock,
                metrics=self.metrics,
                gathering=self.proofs.recall,
                causes=self.proofs.causes,
                rosters=DutyRosters(lambda: self.duty),
                signals=self.alarms,
                base_url=lambda: self.base_url,
            ),
            profile=Profile(**wanted.model_dump(include=set(Profile.model_fields))),
            bus=self.events,
        )
        self.proofs.revise_by(self.rollcall)
        notices = Notices(
            self.store,
            self.clock,
            self.node,
            self.escalation.letters,
            self.alarms,
            lambda: self.duty,
            wanted.bureau_heads,
        )
        self.rollcall.when_ended(notices.tell)
        self.rollcall.side.when_unanswered = notices.unanswered
        self.planner = Planner(self.rollcall, self.store, self.clock, self.alarms, self.events)
        self._calls()

    def _calls(self) -> None:
        prefix = self.settings.rollcall.bulletin_prefix
        press = PressNeeds(self.store, self.links, self.registry, self.rollcall, self.clock, self.metrics, prefix)
        self.press, self.unit_desk = Press(press), UnitDesk(press)
        answer = self.settings.answer
        self.dispatch = DispatchService(
            DispatchNeeds(
                store=self.store,
                ways=self.registry,
                commands=self.links,
                streams=self.media.holding(Kind.CALL),
                journal=self.audit,
                clock=self.clock,
                bus=self.events,
                metrics=self.metrics,
            ),
            base_url=lambda: self.base_url,
            rules=DispatchRules(
                ring_s=answer.ring_s, answer_s=answer.ring_s, answers=answer.policy is AnswerPolicy.CONSOLE
            ),
        )

    def _doors(self) -> None:
        self.users = Users(
            self.store,
            self.clock,
            self.metrics,
            self.settings.users,
            centre=self.node,
            key_file=self._shared / "keys" / "session.key",
        )
        self.duty = DutyService(
            DutyNeeds(
                store=self.store,
                outgoing=self.links,
                alarms=self.alarms,
                area=self.registry,
                items=Open(self.alarms, self.rollcall, self.dispatch, self.orders.desk),
                signatures=self.users,
                journal=self.audit,
                clock=self.clock,
                metrics=self.metrics,
            )
        )
        announce = partial(announced, self.settings, self.broker)
        self.enrolment = Enrolment(
            self.store, self.authority, self.table, self.settings.enrolment, announce, self.metrics
        )
        self.stream = EventStream(self.events, renderers(self.registry, self.alarms, self.upper), self._hello)
        self.site = self._build_site()
        member = self.member
        served = member.introduce(self.links, self.registry, self.escalation, self.site) if member else self.site
        self.http = HttpServer(served, self._listen())
        management = self.settings.management
        self.management = HttpServer(
            build_management(self.metrics), Listen(management.host, management.port), "management"
        )

    def _build_site(self) -> FastAPI:
        secure = self.settings.tls or self.settings.http.behind_proxy
        routers = [
            registry_routes(self.registry, self.facts, self.upper, self.clock.now),
            links_routes(self.links),
            alarm_routes(self.alarms, self.bulletins),
            escalation_routes(self.escalation),
            media_routes(self.media, self.settings.media.ice_servers),
            wall_routes(self.media, self.settings.media.ice_servers),
            press_routes(self.press, self.unit_desk, self.paper),
            evidence_routes(self.proofs.evidence),
            rollcall_routes(self.rollcall, self.planner),
            report_routes(self.reports, self.report_inbox, Printer(self.paper, self.table)),
            warning_routes(self.warnings, self.warning_desk),
            public_routes(self.warnings.needs, self.warnings.calls, self.warning_desk),
            order_routes(self.orders.room, self.orders.desk, OrderPrinter(self.paper)),
            recording_routes(self.recordings),
            dispatch_routes(self.dispatch, self.media.holding(Kind.CALL)),
            duty_routes(self.duty),
            deed_routes(self.duty),
            user_routes(self.users, secure_cookie=secure),
            audit_routes(self.audit),
            enrolment_routes(self.enrolment),
            stream_routes(self.stream, self.users),
            self.member.routes() if self.member is not None else replica_routes(None, None),
        ]
        site = Site(
            centre=self.node,
            version=version(),
            authenticator=self.users,
            journal=self.audit,
            metrics=self.metrics,
            routers=routers,
            ready=self.ready,
            body_limit_bytes=self.settings.http.body_limit_bytes,
        )
        return build_site(site)

    def _listen(self) -> Listen:
        http = self.settings.http
        certificate, key = http.tls_certificate, http.tls_key
        if self.settings.tls and certificate is None:
            public = urlsplit(http.public_url or "").hostname
            replica = self.settings.replica
            near = urlsplit(replica.url or "").hostname
            names = (http.host, *((public,) if public else ()), *((near,) if near else ()), *self.settings.broker.names)
            file = "https" if replica.name is None else f"https-{replica.name}"
            own = self.authority.server_files(file, names, self.clock.now())
            certificate, key = own.certificate, own.key
        return Listen(http.host, http.port, certificate, key, http.proxies if http.behind_proxy else ())

    # its life

    async def __aenter__(self) -> Self:
        try:
            await self._start(self._stack)
        except BaseException:
            await self._stack.aclose()
            raise
        logger.info("gateway up", extra={"centre": self.node, "url": self.base_url, "version": version()})
        return self

    async def _start(self, stack: AsyncExitStack) -> None:
        stack.enter_context(self._lock)
        # Store, broker and media worker need nothing of each other, and each takes its time.
        async with asyncio.TaskGroup() as group:
            for part in (self._database, self.broker, self.engine):
                group.create_task(stack.enter_async_context(part), name=f"start[{type(part).__name__}]")
        await self.registry.load()
        stack.push_async_callback(self.tasks.stop)
        self.tasks.start("loop-lag", partial(watch_loop, self.metrics))
        self.tasks.start("figures", install_figures(self._figured()).run)
        self._count_own()
        doors = (self.management, self.http)
        if self.member is None:
            await self._lead(stack, *doors)
        else:
            await self.escalation.prepare()
            await stack.enter_async_context(self.member.relay)
            for door in doors:
                await stack.enter_async_context(door)
            await self.member.join(stack, self._lead)
        self.tasks.start("clock", ClockWatch(self.clock, self.alarms, self.metrics).run)
        stack.callback(self.stream.close)

    async def _lead(self, stack: AsyncExitStack, *doors: HttpServer) -> None:
        """Open the rooms of which a gateway has one each: of several replicas at the one that leads."""
        await self.users.start()
        await self.users.ensure_first_login(self._shared / "first-login.txt")
        await self.enrolment.start()
        await stack.enter_async_context(self.escalation)
        await self.media.floors.mutes.load()
        for door in doors:
            await stack.enter_async_context(door)
        # Dispatch before roll call: it says which counties calls from above still have.
        for room in (self.media, self.recordings, self.proofs, self.dispatch, self.rollcall):
            await stack.enter_async_context(room)
        await self.media.floors.mutes.settle()
        if self.member is None:
            await stack.enter_async_context(self.links)
        else:
            await self.links.lead()
        for node in await self.enrolment.nodes():
            await self.links.expect(node)
        await stack.enter_async_context(self.duty)
        links = LinkWatch(self.clock, self.alarms, self.table, self.registry.links)
        self.tasks.start("failed-links", links.run)
        self.tasks.start("shelves", ShelfWatch(self.clock, self.alarms).run)
        self.tasks.start("report-clocks", self.reports.run)
        self.tasks.start("feeds", self.feeds.run)
        self.tasks.start("errands", self.errands.run)
        self.tasks.start("warnings", self.warnings.run)
        self.tasks.start("orders", self.orders.room.run)
        if self.federation is not None:
            await stack.enter_async_context(self.federation)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logger.info("gateway stopping", extra={"centre": self.node})
        await self._stack.__aexit__(kind, error, trace)

    def _count_own(self) -> None:
        """Show what the loop, the streams and the links' connection count themselves."""
        live, downlink = self.metrics.live, self.links.downlink
        live("tasks", lambda: [((), float(len(asyncio.all_tasks())))])
        live("task_restarts_total", lambda: [((self.tasks.name,), float(self.tasks.counters["restarted"]))])
        live("event_stream_subscribers", lambda: [((), float(self.stream.subscribers))])
        live("event_stream_resyncs_total", lambda: [((), float(self.stream.resyncs))])
        reasons = ("frames_bad", "receipts_bad", "frames_foreign", "telemetry_unheard")
        live("link_messages_dropped_total", lambda: [((why,), float(downlink.counters[why])) for why in reasons])

    def _figured(self) -> Parts:
        own = self.engine if self.member is None else self.member.pictures.near
        return Parts(self.metrics, self.registry, self.store, self.broker, own, self.clock, version())

    # what it says of itself

    @property
    def base_url(self) -> str:
        """Where others reach this gateway, with the real port."""
        if self.settings.http.public_url is not None or self.settings.http.port:
            return self.settings.base_url
        return f"{self.settings.base_url.rpartition(':')[0]}:{self.http.port}"

    def facts(self) -> Facts:
        """Describe the parts for `GET /api/v1/centre`."""
        health = self.broker.health
        return Facts(
            version=version(),
            broker=BrokerFacts(kind=health.kind, production=health.production),
            media=MediaFacts(engine=self.settings.media.engine, backend=self.engine.backend),
            prometheus_url=self.settings.prometheus.url,
        )

    def upper(self) -> UpperView | None:
        """Describe the own uplink, None at the top."""
        if self.federation is None:
            return None
        return UpperView.model_validate(self.federation.status(), from_attributes=True)

    def ready(self) -> dict[str, bool]:
        """Name each part and whether it works."""
        return {
            "store": self.store.health.up,
            "broker": self.broker.health.up,
            "links": self.links.connected,
            **(self.member.ready() if self.member is not None else {}),
        }

    def _hello(self) -> dict[str, str]:
        return {"centre": self.node, "version": version(), "time": self.clock.now().isoformat()}
