"""A store restored from an older copy gets back what its senders still hold, and names the rest as a gap."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from gateway.app import Gateway
from tests.support.chain import logged, node, settings, tiers, until

pytestmark = pytest.mark.external


async def test_a_restored_city_gets_back_what_its_nodes_hold_and_names_the_rest(tmp_path: Path) -> None:
    database = tmp_path / "320600" / "gateway.db"
    async with tiers(tmp_path, "320600") as (city,), node(city, "320681-box", tmp_path) as box:
        first = [await box.raise_alarm(f"a{n}") for n in range(5)]
        await until(lambda: _count(city, 5))
    shutil.copy(database, tmp_path / "yesterday.db")
    async with Gateway(settings("320600", tmp_path)) as city, node(city, "320681-box", tmp_path) as box:
        second = [await box.raise_alarm(f"b{n}") for n in range(6)]
        await until(lambda: _count(city, 11))
        await until(lambda: _settled(box))
    _forget(tmp_path / "320681-box" / "spool.db", {event.id for event in second[:2]})
    for old in tmp_path.glob("320600/gateway.db*"):
        old.unlink()
    shutil.copy(tmp_path / "yesterday.db", database)
    async with Gateway(settings("320600", tmp_path)) as city, node(city, "320681-box", tmp_path) as box:
        third = await box.raise_alarm("c")
        lines = await until(lambda: _count(city, 10))
        assert {line.event_id for line in lines} == {event.id for event in (*first, *second[2:], third)}
        (gap,) = await until(lambda: city.links.gaps(10))
        assert (gap["node"], gap["last"] - gap["first"] + 1) == ("320681-box", 2)


async def test_a_restored_city_sends_on_under_a_new_epoch_and_nothing_is_lost_above(tmp_path: Path) -> None:
    database = tmp_path / "320600" / "gateway.db"
    async with tiers(tmp_path, "320000", "320600") as (province, city):
        async with node(city, "320681-box", tmp_path) as box:
            sent = [await box.raise_alarm(f"a{n}") for n in range(4)]
            await until(lambda: _count(province, 4))
        upstream = city.settings.upstream.model_dump()
        await city.__aexit__(None, None, None)
        shutil.copy(database, tmp_path / "yesterday.db")
        second = Gateway(settings("320600", tmp_path, upstream=upstream))
        async with second, node(second, "320681-box", tmp_path) as box:
            sent += [await box.raise_alarm(f"b{n}") for n in range(4)]
            await until(lambda: _count(province, 8))
        epoch = second.store.epoch
        for old in tmp_path.glob("320600/gateway.db*"):
            old.unlink()
        shutil.copy(tmp_path / "yesterday.db", database)
        third = Gateway(settings("320600", tmp_path, upstream=upstream))
        async with third, node(third, "320681-box", tmp_path) as box:
            assert third.store.epoch != epoch
            sent += [await box.raise_alarm(f"c{n}") for n in range(4)]
            for gateway in (third, province):
                lines = await until(lambda g=gateway: _count(g, 12))
                assert sorted(line.event_id for line in lines) == sorted(event.id for event in sent)
        assert await province.links.gaps(10) == []


async def _count(gateway: Gateway, number: int):
    lines = await logged(gateway)
    return lines if len(lines) >= number else None


async def _settled(box):
    return sum((await box.spool.depth()).values()) == 0


def _forget(spool: Path, ids: set[str]) -> None:
    """Take records out of the spool's history, as time would."""
    connection = sqlite3.connect(spool)
    for one in ids:
        connection.execute("DELETE FROM records WHERE event LIKE ?", (f"%{one}%",))
    connection.commit()
    connection.close()
