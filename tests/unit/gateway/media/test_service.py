"""One crossing per link, only while somebody watches: viewers here, the tier above, and what happens when it breaks."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.events import EventBus, LinkChanged, MediaRestarted
from gateway.media.machine import Kind, Trouble
from gateway.media.needs import MediaNeeds
from gateway.media.service import MediaService
from gateway.metrics import Metrics
from gateway.ports.media import EndReason, EngineRestarted, Layer, LayersWanted, SessionKind, StreamChanged, StreamState
from gateway.web.media_tokens import MediaDirection, MediaTokens
from protocols.aio.clock import ManualClock, new_ulid
from protocols.command import Command, MediaPublish, MediaUnpublish
from protocols.errors import ExpiredError, NotFoundError, RefusedError
from protocols.health import LinkStatus
from protocols.sharing import Share
from tests.support.databases import unopened
from tests.support.engines import PaperEngine
from tests.support.rooms import Commands, OneLink, Ways, until

STREAM = "320612/room"


class Gateway:
    """One media room on paper."""

    def __init__(self, ways: Ways, clock: ManualClock) -> None:
        self.clock = clock
        self.ways = ways
        self.engine = PaperEngine()
        self.commands = Commands(ways.here, clock)
        self.tokens = MediaTokens(Ed25519PrivateKey.generate(), ways.here)
        self.bus = EventBus()
        needs = MediaNeeds(self.engine, ways, self.commands, self.tokens, clock, self.bus, Metrics(), unopened(clock))
        self.media = MediaService(needs, node=ways.here, base_url=lambda: f"http://{ways.here}", chance=lambda: 0.5)
        self.published: list[MediaPublish] = []
        self.given_back: list[str] = []

    def child(self, node: str, *, refuse: bool = False) -> None:
        async def publish(command: Command) -> dict[str, object]:
            if refuse:
                raise RefusedError("no", "declined")
            self.published.append(MediaPublish.model_validate(command.args))
            return {}

        async def unpublish(command: Command) -> dict[str, object]:
            self.given_back.append(MediaUnpublish.model_validate(command.args).stream)
            return {}

        self.commands.on(node, "media.publish", publish)
        self.commands.on(node, "media.unpublish", unpublish)

    async def view(self, stream: str = STREAM) -> str:
        token, _ = self.tokens.mint(MediaDirection.PLAY, stream, holder="wang", now=self.clock.now())
        answer = await self.media.play_offer(stream, token, "v=0 offer")
        return answer.session_id

    async def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            await self.clock.advance(1.0)


@pytest.fixture
async def city():
    gateway = Gateway(Ways.city(("320612", "320623")), ManualClock())
    gateway.child("320612-box")
    async with gateway.media:
        await until(lambda: gateway.engine.heard)
        yield gateway


async def test_three_viewers_and_a_roll_call_cross_the_link_once(city):
    for _ in range(3):
        await city.view()
    city.media.want(STREAM, "rollcall-1", Kind.ROLL_CALL)
    await until(lambda: city.published)
    assert len(city.published) == 1
    asked = city.published[0]
    assert asked.whip_url == f"http://320600/whip/{STREAM}"
    assert asked.until == city.clock.now() + timedelta(seconds=60)
    city.tokens.verify(asked.token, MediaDirection.PUBLISH, STREAM, now=city.clock.now())


async def test_the_lease_is_renewed_while_watched_and_given_back_after(city):
    session_id = await city.view()
    await until(lambda: city.published)
    city.engine.tell(StreamChanged(STREAM, StreamState.LIVE))
    await city.pass_time(61)
    assert len(city.published) == 4
    assert not any(asked.fresh for asked in city.published)
    await city.engine.end(session_id)
    await city.pass_time(14)
    assert city.given_back == []
    await city.pass_time(3)
    assert city.given_back == [STREAM]
    asked = len(city.published)
    await city.pass_time(60)
    assert len(city.published) == asked


async def test_a_play_token_fetches_the_stream_before_the_viewer_comes(city):
    city.media.expect_viewer(STREAM)
    await until(lambda: city.published)
    await city.pass_time(10 + 16)
    assert city.given_back == [STREAM]


async def test_why_a_stream_does_not_come(city):
    city.child("320623-box", refuse=True)
    city.media.want("320623/room", "a", Kind.VIEWER)
    city.media.want("320685/room", "b", Kind.VIEWER)
    city.ways.cut("320612-box")
    city.media.want(STREAM, "c", Kind.VIEWER)
    await until(lambda: city.media.trouble("320623/room") and city.media.trouble(STREAM))
    assert city.media.trouble("320623/room") is Trouble.REFUSED
    assert city.media.trouble(STREAM) is Trouble.NO_LINK
    assert city.commands.count("media.publish", "320612-box") == 0


async def test_the_returning_link_is_asked_at_once(city):
    city.ways.cut("320612-box")
    city.media.want(STREAM, "c", Kind.VIEWER)
    await until(lambda: city.media.trouble(STREAM))
    city.ways.nodes["320612-box"].status = LinkStatus.UP
    city.bus.publish(LinkChanged("320612-box", LinkStatus.UP))
    await until(lambda: city.published)
    assert city.media.trouble(STREAM) is None


async def test_a_lost_worker_leaves_the_sessions_of_others_alone(city):
    """The publisher was elsewhere: it is not asked again."""
    told: list[MediaRestarted] = []
    city.bus.listen(MediaRestarted, told.append)
    await city.view()
    await city.view()
    await until(lambda: city.published)
    gone, _ = city.engine.of(SessionKind.WHEP)
    city.engine.lose(gone, EndReason.WORKER_LOST)
    city.engine.tell(EngineRestarted((STREAM,), (), (gone,)))
    await until(lambda: told)
    assert told == [MediaRestarted((STREAM,), (gone,))]
    assert len(city.published) == 1


async def test_a_lost_worker_brings_fresh_publishers_and_tells_the_viewers(city):
    told: list[MediaRestarted] = []
    city.bus.listen(MediaRestarted, told.append)
    await city.view()
    await until(lambda: city.published)
    sessions = tuple(city.engine.sessions)
    city.engine.die()
    await until(lambda: len(city.published) == 2)
    assert city.published[1].fresh
    assert told == [MediaRestarted((STREAM,), sessions)]
    await city.view()
    assert len(city.published) == 2


def lease(gateway: Gateway, *, seconds: float = 60, fresh: bool = False, stream: str = STREAM) -> Command:
    now = gateway.clock.now()
    args = MediaPublish(
        stream=stream, whip_url=f"http://320000/whip/{stream}", token="t", until=now + timedelta(seconds=seconds),
        fresh=fresh,
    )  # fmt: skip
    return Command(
        command_id=new_ulid(gateway.clock), name="media.publish", target="320600", origin="320000",
        deadline=now + timedelta(seconds=10), args=args.model_dump(mode="json"),
    )  # fmt: skip


async def test_the_tier_above_gets_the_same_stream(city):
    await city.view()
    await until(lambda: city.published)
    await city.media.on_publish(lease(city))
    await until(lambda: city.engine.dialled)
    assert city.engine.dialled == [(STREAM, f"http://320000/whip/{STREAM}", "t")]
    assert len(city.published) == 1, "the county link is crossed once"


async def test_the_tier_above_is_told_why_a_stream_does_not_come(city):
    city.ways.cut("320612-box")
    await city.media.on_publish(lease(city))
    await until(lambda: city.media.trouble(STREAM))
    with pytest.raises(RefusedError) as caught:
        await city.media.on_publish(lease(city))
    assert caught.value.reason == Trouble.NO_LINK
    city.ways.nodes["320612-box"].status = LinkStatus.UP
    city.bus.publish(LinkChanged("320612-box", LinkStatus.UP))
    await until(lambda: city.published)
    await until(lambda: city.engine.of(SessionKind.RELAY))


async def test_the_reason_of_a_tier_below_is_named_here_too():
    province = Gateway(Ways.city(("320612",), here="320000"), ManualClock())
    province.ways.nodes["320600"] = OneLink("320600")

    async def refuse(command: Command) -> dict[str, object]:
        raise RefusedError("it does not come here either", "no_answer")

    province.commands.on("320600", "media.publish", refuse)
    async with province.media:
        province.media.want(STREAM, "a", Kind.VIEWER)
        await until(lambda: province.media.trouble(STREAM))
        assert province.media.trouble(STREAM) is Trouble.NO_ANSWER
        province.ways.cut("320612-box")
        await province.pass_time(12)
        assert province.media.trouble(STREAM) is Trouble.NO_LINK, "a county that is cut two tiers below is not asked"


async def test_a_relay_ends_with_its_lease(city):
    await city.media.on_publish(lease(city))
    await until(lambda: city.published)
    city.engine.tell(StreamChanged(STREAM, StreamState.LIVE))
    await until(lambda: city.engine.of(SessionKind.RELAY))
    await city.pass_time(30)
    await city.media.on_publish(lease(city))
    await city.pass_time(59)
    assert city.engine.of(SessionKind.RELAY)
    await city.pass_time(2)
    assert not city.engine.of(SessionKind.RELAY)
    await city.pass_time(17)
    assert city.given_back == [STREAM]


async def test_a_relay_ends_when_given_back(city):
    await city.media.on_publish(lease(city))
    city.engine.tell(StreamChanged(STREAM, StreamState.LIVE))
    await until(lambda: city.engine.of(SessionKind.RELAY))
    args = MediaUnpublish(stream=STREAM).model_dump(mode="json")
    await city.media.on_unpublish(lease(city).model_copy(update={"name": "media.unpublish", "args": args}))
    await until(lambda: not city.engine.of(SessionKind.RELAY))


async def test_a_dead_relay_is_made_again(city):
    await city.media.on_publish(lease(city))
    city.engine.tell(StreamChanged(STREAM, StreamState.LIVE))
    await until(lambda: city.engine.of(SessionKind.RELAY))
    city.engine.reachable = False
    city.engine.lose(city.engine.of(SessionKind.RELAY)[0], EndReason.CONSENT_LOST)
    await until(lambda: len(city.engine.dialled) >= 2)
    city.engine.reachable = True
    await city.pass_time(12)
    assert city.engine.of(SessionKind.RELAY)


async def test_a_lost_worker_makes_the_relay_again_as_soon_as_the_source_is_back(city):
    await city.media.on_publish(lease(city))
    city.engine.tell(StreamChanged(STREAM, StreamState.LIVE))
    await until(lambda: city.engine.of(SessionKind.RELAY))
    city.engine.tell(StreamChanged(STREAM, StreamState.ABSENT))
    city.engine.die()
    await until(lambda: city.published and city.published[-1].fresh)
    city.engine.tell(StreamChanged(STREAM, StreamState.LIVE))
    await until(lambda: city.engine.of(SessionKind.RELAY))


async def test_late_and_foreign_leases_are_refused(city):
    with pytest.raises(ExpiredError):
        await city.media.on_publish(lease(city, seconds=-1))
    with pytest.raises(NotFoundError):
        await city.media.on_publish(lease(city, stream="330100/room"))


async def test_the_own_side_of_a_call_is_asked_of_nobody(city):
    await city.view("320600/call-01jb")
    await city.media.on_publish(lease(city, stream="320600/call-01jb"))
    await city.clock.advance(1.0)
    assert city.commands.asked == []


async def test_a_pull_is_kept_until_dropped(city):
    city.media.keep_pulled("320000/call-x", "http://320000/whep/320000/call-x", "t")
    await until(lambda: city.engine.of(SessionKind.PULL))
    city.engine.lose(city.engine.of(SessionKind.PULL)[0], EndReason.CONSENT_LOST)
    await until(lambda: city.engine.of(SessionKind.PULL))
    city.media.drop_pulled("320000/call-x")
    await until(lambda: not city.engine.of(SessionKind.PULL))


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
BOTH = frozenset(Layer)


async def test_the_layers_that_somebody_watches_go_down_at_once(city):
    city.media.want(STREAM, "wall", Kind.WALL, frozenset({Layer.THUMB}))
    await until(lambda: city.published)
    city.engine.tell(LayersWanted(STREAM, BOTH))
    await until(lambda: city.engine.heard)
    await city.pass_time(1)
    await until(lambda: len(city.published) == 2)
    city.engine.tell(LayersWanted(STREAM, frozenset({Layer.THUMB})))
    await city.pass_time(4)
    await until(lambda: len(city.published) == 3)
    assert [asked.layers for asked in city.published] == [("thumb",), ("main", "thumb"), ("thumb",)]


class Tiers:
    """A province above a city on paper: the commands of the one are carried out by the other."""

    def __init__(self) -> None:
        clock = ManualClock()
        below = Ways.city(("320612",))
        above = Ways(
            "320000", [replace(camera) for camera in below.all_cameras], {**below.nodes, "320600": OneLink("320600")}
        )
        self.city, self.province = Gateway(below, clock), Gateway(above, clock)
        self.city.child("320612-box")
        for name in ("publish", "unpublish"):
            carry_out = getattr(self.city.media, f"on_{name}")
            self.province.commands.on("320600", f"media.{name}", carry_out)

    async def pass_time(self, seconds: float) -> None:
        await self.city.pass_time(seconds)


@pytest.fixture
async def two():
    tiers = Tiers()
    async with tiers.city.media, tiers.province.media:
        await until(lambda: tiers.city.engine.heard and tiers.province.engine.heard)
        yield tiers


async def test_a_click_is_traced_over_its_hops(two):
    two.province.media.clicked(STREAM, TRACE)
    await two.province.view()
    await until(lambda: two.city.published)
    assert two.city.published[0].trace == TRACE
    for gateway in (two.city, two.province):
        gateway.engine.tell(StreamChanged(STREAM, StreamState.STARTING))
        gateway.engine.tell(StreamChanged(STREAM, StreamState.LIVE, 0.2))
    await two.pass_time(21)
    upper, lower = two.province.media.chains.path(STREAM)
    assert (upper.node, lower.node) == ("320000", "320600")
    assert upper.picture_ms is not None
    assert lower.picture_ms is not None
    assert two.city.media.chains.trace(STREAM) == TRACE


async def test_a_second_click_within_minutes_finds_its_session_standing(two):
    session = await two.province.view()
    await until(lambda: two.city.engine.of(SessionKind.RELAY))
    (relay,) = two.city.engine.of(SessionKind.RELAY)
    await two.province.engine.end(session)
    await two.pass_time(17)
    await until(lambda: two.city.given_back == [STREAM])
    assert two.city.engine.of(SessionKind.RELAY) == [relay]
    assert two.city.engine.carried[-1] == (relay, frozenset())
    await two.province.view()
    await until(lambda: two.city.engine.carried[-1] == (relay, frozenset({Layer.MAIN})))
    await until(lambda: len(two.city.published) == 2)
    await two.province.engine.end(two.province.engine.of(SessionKind.WHEP)[0])
    await two.pass_time(17 + 601)
    await until(lambda: not two.city.engine.of(SessionKind.RELAY))
    assert two.province.commands.count("media.unpublish") == 1


@pytest.mark.parametrize("enforced_by", ["320000", "320600"])
async def test_a_camera_that_is_not_shown_upward_crosses_no_link(two, enforced_by):
    for gateway in (two.city, two.province):
        if enforced_by == "320600" and gateway is two.province:
            continue  # an upper gateway that knows nothing of sharing asks all the same
        for camera in gateway.ways.all_cameras:
            camera.share = Share.CITY
    await two.province.view()
    await until(lambda: two.province.media.trouble(STREAM))
    assert two.province.media.trouble(STREAM) is Trouble.NOT_SHARED
    assert two.province.commands.count("media.publish") == (1 if enforced_by == "320600" else 0)
    assert two.city.published == []
    assert two.city.engine.of(SessionKind.RELAY) == []
    await two.city.view()
    await until(lambda: two.city.published)


async def test_a_relay_that_could_not_be_made_is_dialled_again_when_its_pause_is_over(city):
    city.engine.reachable = False
    until_ = city.clock.now() + timedelta(seconds=60)
    args = MediaPublish(stream=STREAM, whip_url="http://province/whip/x", token="t", until=until_)
    command = Command(
        command_id=new_ulid(city.clock), name="media.publish", target="320600", origin="320000",
        deadline=until_, args=args.model_dump(mode="json"),
    )  # fmt: skip
    await city.media.on_publish(command)
    await until(lambda: city.engine.dialled)
    await city.pass_time(8)  # with nothing else happening
    assert len(city.engine.dialled) >= 3
