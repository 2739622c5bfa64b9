"""What `silian doctor` says of a PostgreSQL database: good, away, with a month missing, with its log changed."""

from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.engine import URL

from gateway import doctor
from gateway.adapters.store_postgres import PostgresStore
from gateway.audit.service import Audit
from gateway.links.tables import events
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.web.journal import AuditEntry
from protocols.aio.clock import SystemClock
from tests.support.postgres import shared_cluster


def settings(url: URL, folder: Path) -> Settings:
    place = {"url": url.render_as_string(hide_password=False)}
    return Settings.model_validate({"centre": {"code": "320600"}, "state": {"dir": str(folder)}, "store": place})


def opened(url: URL, folder: Path) -> PostgresStore:
    return PostgresStore(url, "320600", SystemClock(), lambda _: None, folder / "store.mark")


async def test_a_good_database_and_a_changed_log(tmp_path: Path) -> None:
    url = await shared_cluster().database()
    wanted = settings(url, tmp_path)
    async with opened(url, tmp_path) as store:
        audit = Audit(store, Metrics())
        for number in range(3):
            await audit.record(AuditEntry("王", "deed", str(number), 200))
        row = {"source": "320623-box", "id": "7ZZZZZZZZZ0000000000000000", "type": "t", "origincounter": 1}
        async with store.unit() as uow:
            await uow.execute(insert(events), [row | {"sender": "320623-box", "received_at": uow.now}])
    assert doctor.audit(wanted).detail.startswith("3 records, chain whole")
    assert doctor.evidence(wanted).good
    await shared_cluster().command(
        "ALTER TABLE audit DISABLE TRIGGER ALL", "UPDATE audit SET actor = 'x' WHERE seq = 2", database=url.database
    )
    assert "record 2 was changed" in doctor.audit(wanted).detail
    found = doctor.database(wanted)
    assert not found.good, "the shared server of the tests runs without fsync"
    assert "fsync" in found.advice


async def test_months_that_are_missing_are_named(tmp_path: Path) -> None:
    cluster = shared_cluster()
    url = await cluster.database()
    wanted = settings(url, tmp_path)
    async with opened(url, tmp_path):
        pass
    month = f"audit_{SystemClock().now():%Y%m}"
    await cluster.command("ALTER SYSTEM SET fsync = on", "SELECT pg_reload_conf()")
    assert doctor.database(wanted).good, doctor.database(wanted)
    await cluster.command(f"DROP TABLE {month}", database=url.database)
    found = doctor.database(wanted)
    await cluster.command("ALTER SYSTEM RESET fsync", "SELECT pg_reload_conf()")
    assert not found.good
    assert f"audit {month[-6:-2]}-{month[-2:]}" in found.detail


async def test_a_database_that_is_away_is_said_so(tmp_path: Path) -> None:
    url = shared_cluster().url("nowhere").set(password="geheim")
    for check in (doctor.database, doctor.audit, doctor.evidence):
        found = check(settings(url, tmp_path))
        assert not found.good
        assert found.advice
        assert "geheim" not in found.detail
