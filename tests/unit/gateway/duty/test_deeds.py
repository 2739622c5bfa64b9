"""Swaps, handovers and presence."""

import pytest

from gateway.duty.deeds import Deeds, Swap
from gateway.duty.needs import OpenItem
from protocols.errors import BadInputError, NotAllowedError, NotFoundError, WrongMomentError
from tests.support.duty_stage import DAY, duty_stage


@pytest.fixture
async def stage(tmp_path):
    async with duty_stage(tmp_path) as made:
        await made.staff()
        await made.room.save(DAY, made.full(), 0, by="admin")
        yield made


def swap(stage, out: str = "李局", new: str = "陈局") -> Swap:
    return Swap(DAY, "全天", stage.people[out].id, stage.people[new].id, "出差")


async def test_an_approved_swap_is_a_new_version_and_travels(stage):
    deeds = Deeds(stage.room)
    await stage.room.look()
    asked = await deeds.ask(swap(stage), by="wang")
    assert asked["state"] == "asked"
    with pytest.raises(NotAllowedError):
        await deeds.decide(asked["id"], approve=True, by="wang")
    done = await deeds.decide(asked["id"], approve=True, by="li")
    assert (done["state"], done["version"], done["decided_by"]) == ("approved", 2, "li")
    await stage.room.look()
    assert stage.around.emitted[-1].data["shifts"][0]["people"][0]["name"] == "陈局"
    with pytest.raises(WrongMomentError):
        await deeds.decide(asked["id"], approve=False, by="li")


async def test_a_refused_swap_changes_nothing(stage):
    deeds = Deeds(stage.room)
    asked = await deeds.ask(swap(stage), by="wang")
    await deeds.decide(asked["id"], approve=False, by="li")
    assert len(await stage.room.versions(DAY)) == 1
    with pytest.raises(BadInputError):
        await deeds.ask(swap(stage, out="周立"), by="wang")
    with pytest.raises(BadInputError):
        await deeds.ask(swap(stage, new="王强"), by="wang")


async def test_a_handover_needs_the_second_persons_password_and_no_ownerless_red_item(stage):
    deeds = Deeds(stage.room)
    red = OpenItem(kind="alarm", id="1", text="氯气泄漏", severity=1, red=True)
    stage.around.items = [red]
    with pytest.raises(WrongMomentError, match="氯气泄漏"):
        await deeds.hand_over(given_by="a", taken_by="b", password="right", remarks="")
    stage.around.items = [red.model_copy(update={"red": False})]
    with pytest.raises(NotAllowedError):
        await deeds.hand_over(given_by="a", taken_by="b", password="wrong", remarks="")
    with pytest.raises(BadInputError):
        await deeds.hand_over(given_by="a", taken_by="a", password="right", remarks="")
    assert await deeds.handovers() == []
    made = await deeds.hand_over(given_by="a", taken_by="b", password="right", remarks="无")
    (kept,) = await deeds.handovers()
    assert (kept["hash"], kept["items"][0]["text"], kept["taken_by"]) == (made["hash"], "氯气泄漏", "b")


async def test_signing_in_and_out(stage):
    deeds, li = Deeds(stage.room), stage.people["李局"].id
    assert (await deeds.sign_in(li, by="li"))["shift"] == "全天"
    with pytest.raises(WrongMomentError):
        await deeds.sign_in(li, by="li")
    await deeds.sign_out(li)
    with pytest.raises(NotFoundError):
        await deeds.sign_out(li)
    with pytest.raises(NotFoundError):
        await deeds.sign_in(stage.people["周立"].id, by="li")
    assert (await deeds.presence())[0]["out_at"] is not None
