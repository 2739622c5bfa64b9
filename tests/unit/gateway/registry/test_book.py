"""Ways and views over what was told."""

from datetime import UTC, datetime

import pytest

from gateway.registry.book import Book, Listing, NodeState
from protocols.health import CameraHealth, CameraInfo, Heartbeat, LinkReason, LinkStatus, Verdict
from protocols.tiers import NANTONG, CentreTable

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
UP, DOWN = LinkStatus.UP, LinkStatus.DOWN


def state(by: str, hop: str, status: LinkStatus = UP, reason: LinkReason | None = None) -> NodeState:
    return NodeState(by, status, reason, NOW, "1", hop)


def listing(sender: str, *streams: str) -> Listing:
    cameras = tuple(
        CameraInfo(centre=one[:6], name=one.partition("/")[2], title=one, kind="testcard") for one in streams
    )
    return Listing(sender, "1", cameras)


@pytest.fixture
def province() -> Book:
    """Jiangsu, which knows of Nantong, its box in 启东 and the gateway of 如东 with its box."""
    book = Book(CentreTable(NANTONG), "320000")
    book.set_state("320600", state("320000", "320600"))
    book.set_state("320681-box", state("320600", "320600"))
    book.set_state("320623", state("320600", "320600"))
    book.set_state("320623-box", state("320623", "320600"))
    book.list("320681-box", listing("320600", "320681/room"))
    book.list("320623-box", listing("320600", "320623/room", "320623/hall"))
    return book


@pytest.fixture
def city() -> Book:
    book = Book(CentreTable(NANTONG), "320600")
    book.set_state("320681-box", state("320600", "320681-box"))
    book.set_state("320623", state("320600", "320623"))
    book.set_state("320623-box", state("320623", "320623"))
    book.list("320681-box", listing("320681-box", "320681/room"))
    book.list("320623-box", listing("320623", "320623/room"))
    return book


def test_the_next_hop_is_the_gateway_on_the_way_or_an_agent_of_the_centre(province: Book, city: Book) -> None:
    assert province.next_hop("320681") == "320600"
    assert province.next_hop("320623") == "320600"
    assert province.next_hop("320000") is None
    assert city.next_hop("320681") == "320681-box"
    assert city.next_hop("320623") == "320623"
    assert city.next_hop("320682") is None


def test_among_agents_of_one_centre_one_that_is_up_and_has_cameras_is_preferred() -> None:
    book = Book(CentreTable(NANTONG), "320600")
    book.set_state("320681-a", state("320600", "320681-a"))
    book.set_state("320681-b", state("320600", "320681-b"))
    book.list("320681-b", listing("320681-b", "320681/room"))
    assert book.next_hop("320681") == "320681-b"
    book.set_state("320681-b", state("320600", "320681-b", DOWN, LinkReason.NO_HEARTBEAT))
    assert book.next_hop("320681") == "320681-a"


def test_the_hop_to_a_node_is_the_child_that_told_of_it(province: Book, city: Book) -> None:
    assert province.hop_to("320623-box") == "320600"
    assert city.hop_to("320623-box") == "320623"
    assert city.hop_to("320681-box") == "320681-box"
    assert city.hop_to("330100-box") is None
    assert city.next_hop("320681") == "320681-box"
    assert city.hop_to("320681") is None, "no gateway stands there: what is for one must not land in its box"


def test_people_ring_at_the_gateway_of_a_centre_else_at_the_box_with_cameras(city: Book) -> None:
    assert city.duty_node("320623") == "320623"
    assert city.duty_node("320681") == "320681-box"
    assert city.duty_node("320682") is None


def test_the_owner_of_a_camera_announced_it(province: Book) -> None:
    assert province.owner("320623/hall") == "320623-box"
    assert province.owner("320623/other") is None
    assert [camera.stream for camera in province.cameras()] == ["320623/hall", "320623/room", "320681/room"]


def test_what_lies_behind_a_broken_link_is_not_known_to_be_up(province: Book) -> None:
    province.set_state("320600", state("320000", "320600", DOWN, LinkReason.NO_HEARTBEAT))
    seen = {link.node: (link.status, link.reason, link.reported_by) for link in province.links()}
    assert seen["320681-box"] == (DOWN, LinkReason.NO_HEARTBEAT, "320000")
    assert seen["320623"][0] is DOWN


def test_a_reason_known_below_is_kept(province: Book) -> None:
    stopped = state("320600", "320600", DOWN, LinkReason.AGENT_STOPPED)
    province.set_state("320681-box", stopped)
    province.set_state("320600", state("320000", "320600", DOWN, LinkReason.NO_HEARTBEAT))
    link = province.link("320681-box")
    assert link is not None
    assert (link.reason, link.reported_by) == (LinkReason.AGENT_STOPPED, "320600")


def test_a_heartbeat_tells_which_pictures_changed(city: Book) -> None:
    def beat(number: int, verdict: Verdict) -> Heartbeat:
        health = CameraHealth(verdict=verdict)
        return Heartbeat(node="320681-box", sent_at=NOW, number=number, cameras={"room": health})

    assert list(city.heard("320681-box", beat(1, Verdict.LIVE), NOW, 3.0)) == ["320681/room"]
    assert list(city.heard("320681-box", beat(2, Verdict.LIVE), NOW, 3.0)) == []
    assert list(city.heard("320681-box", beat(3, Verdict.FROZEN), NOW, 3.0)) == ["320681/room"]
    link = city.link("320681-box")
    assert link is not None
    assert (link.rtt_ms, link.last_heartbeat_at) == (3.0, NOW)
    camera = next(one for one in city.cameras() if one.stream == "320681/room")
    assert camera.picture is not None
    assert camera.picture.verdict is Verdict.FROZEN
