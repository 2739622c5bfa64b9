"""Accounts, logins and the audit on a real database, over HTTP."""

import sqlite3
from datetime import UTC, datetime

import pytest

from gateway.web.auth import Role
from protocols.aio.clock import ManualClock
from tests.support.security import office

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
NEW = "长江-黄海-紫金山-42"


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
async def city(tmp_path, clock):
    async with office(tmp_path / "state", clock) as city:
        yield city


async def log_in(city, name, password):
    async with city.client() as client:
        return await client.post("/api/v1/session", json={"username": name, "password": password})


async def test_the_first_login_is_made_once_and_must_be_changed(tmp_path, clock):
    file = tmp_path / "state" / "first-login.txt"
    async with office(tmp_path / "state", clock) as city:
        await city.users.ensure_first_login(file)
        assert file.stat().st_mode & 0o777 == 0o600
        text = file.read_text()
        password = next(line.rpartition(": ")[2] for line in text.splitlines() if "password" in line)
        await city.users.ensure_first_login(file)
        assert file.read_text() == text
    async with office(tmp_path / "state", clock) as city:
        await city.users.ensure_first_login(file)
        assert file.read_text() == text, "kept over restarts"
        opened = (await log_in(city, "admin", password)).json()
        assert opened["user"]["must_change_password"]
        async with city.client(opened["token"]) as admin:
            refused = await admin.get("/api/v1/users")
            assert (refused.status_code, refused.json()["code"]) == (403, "must_change_password")
            weak = await admin.post("/api/v1/session/password", json={"old": password, "new": "admin"})
            assert weak.status_code == 400
            changed = await admin.post("/api/v1/session/password", json={"old": password, "new": NEW})
            assert changed.json()["must_change_password"] is False
            assert (await admin.get("/api/v1/users")).status_code == 200
        assert (await log_in(city, "admin", password)).status_code == 401
        assert (await log_in(city, "admin", NEW)).status_code == 200


async def test_five_failures_lock_the_account_and_time_opens_it(city, clock):
    await city.people(Role.AUDITOR)
    right = "紫金山-rotidua-1000"
    for _ in range(5):
        answer = await log_in(city, "auditor", "wrong")
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    locked = await log_in(city, "auditor", right)
    assert (locked.status_code, locked.json()["code"]) == (429, "locked")
    assert locked.headers["retry-after"] == "300"
    await clock.advance(301)
    assert (await log_in(city, "auditor", right)).status_code == 200


async def test_a_lock_outlives_a_restart(tmp_path, clock):
    async with office(tmp_path / "state", clock) as city:
        await city.people(Role.AUDITOR)
        for _ in range(5):
            await log_in(city, "auditor", "wrong")
    async with office(tmp_path / "state", clock) as city:
        assert (await log_in(city, "auditor", "紫金山-rotidua-1000")).status_code == 429


async def test_unknown_names_are_treated_like_wrong_passwords(city):
    await city.people(Role.AUDITOR)
    answers = [await log_in(city, "nobody", "wrong") for _ in range(6)]
    assert [a.status_code for a in answers] == [401] * 5 + [429]
    known = await log_in(city, "auditor", "wrong")
    assert {**known.json()} == {**answers[0].json()}


async def test_a_login_ends_by_logout_by_time_and_by_a_new_password(city, clock):
    await city.people(Role.AUDITOR)
    async with city.client(await city.token(Role.AUDITOR)) as first:
        assert (await first.get("/api/v1/session")).json()["name"] == "auditor"
        assert (await first.delete("/api/v1/session")).status_code == 204
        assert (await first.get("/api/v1/session")).status_code == 401
    token = await city.token(Role.AUDITOR)
    async with city.client(token) as other, city.client(await city.token(Role.AUDITOR)) as mine:
        change = {"old": "紫金山-rotidua-1000", "new": NEW}
        assert (await mine.post("/api/v1/session/password", json=change)).status_code == 200
        assert (await mine.get("/api/v1/session")).status_code == 200
        assert (await other.get("/api/v1/session")).status_code == 401
        await clock.advance(12 * 3600)
        assert (await mine.get("/api/v1/session")).status_code == 401


async def test_a_login_outlives_a_restart_and_a_revoked_one_does_not(tmp_path, clock):
    async with office(tmp_path / "state", clock) as city:
        await city.people(Role.CALLER)
        kept, revoked = await city.token(Role.CALLER), await city.token(Role.CALLER)
        async with city.client(revoked) as client:
            await client.delete("/api/v1/session")
    async with office(tmp_path / "state", clock) as city:
        async with city.client(kept) as client:
            assert (await client.get("/api/v1/session")).status_code == 200
        async with city.client(revoked) as client:
            assert (await client.get("/api/v1/session")).status_code == 401


async def test_a_token_of_another_gateway_or_kind_opens_nothing(city, tmp_path, clock):
    import jwt

    await city.people(Role.OPERATIONS)
    token = await city.token(Role.OPERATIONS)
    async with office(tmp_path / "other", clock) as other, other.client(token) as client:
        assert (await client.get("/api/v1/session")).status_code == 401
    claims = jwt.decode(token, options={"verify_signature": False})
    for forged in (jwt.encode(claims, None, algorithm="none"), jwt.encode(claims, "x" * 32, algorithm="HS256")):
        async with city.client(forged) as client:
            assert (await client.get("/api/v1/session")).status_code == 401


async def test_operations_make_accounts_and_reset_passwords(city):
    await city.people(Role.CALLER, Role.OPERATIONS)
    async with city.client(await city.token(Role.OPERATIONS)) as operations:
        body = {"name": "zhang.san", "display_name": "张三", "roles": ["dispatcher", "caller"]}
        made = await operations.post("/api/v1/users", json=body)
        assert made.status_code == 201
        assert (await operations.post("/api/v1/users", json=body)).status_code == 409
        assert (await operations.post("/api/v1/users", json={**body, "name": "A b"})).status_code == 422
        assert (await operations.post("/api/v1/users", json={**body, "roles": ["king"]})).status_code == 422
        names = [user["name"] for user in (await operations.get("/api/v1/users")).json()["items"]]
        assert "zhang.san" in names
        first = await log_in(city, "zhang.san", made.json()["password"])
        assert first.json()["user"] == {
            "name": "zhang.san",
            "display_name": "张三",
            "roles": ["caller", "dispatcher"],
            "must_change_password": True,
        }
        again = await operations.post("/api/v1/users/zhang.san/password")
        assert (await log_in(city, "zhang.san", made.json()["password"])).status_code == 401
        assert (await log_in(city, "zhang.san", again.json()["password"])).status_code == 200
        assert (await operations.post("/api/v1/users/nobody/password")).status_code == 404


async def test_a_shut_account_is_out_at_once_and_roles_change_without_a_new_login(city):
    await city.people(Role.OPERATIONS, Role.CALLER)
    token = await city.token(Role.CALLER)
    async with city.client(await city.token(Role.OPERATIONS)) as operations, city.client(token) as caller:
        changed = await operations.patch("/api/v1/users/caller", json={"roles": ["auditor"]})
        assert changed.json()["roles"] == ["auditor"]
        assert (await caller.get("/api/v1/audit")).status_code == 200
        assert (await operations.patch("/api/v1/users/caller", json={"disabled": True})).json()["disabled"] is True
        assert (await caller.get("/api/v1/session")).status_code == 401
        assert (await log_in(city, "caller", "紫金山-rellac-1000")).status_code == 401
        assert (await operations.patch("/api/v1/users/caller", json={"disabled": False})).status_code == 200
        assert (await log_in(city, "caller", "紫金山-rellac-1000")).status_code == 200
        assert (await operations.patch("/api/v1/users/operations", json={"disabled": True})).status_code == 409
        assert (await operations.patch("/api/v1/users/nobody", json={})).status_code == 404
        assert (await operations.patch("/api/v1/users/caller", json={"roles": []})).status_code == 422


async def test_the_cookie_is_closed_to_scripts_and_other_sites(city):
    await city.people(Role.CALLER)
    answer = await log_in(city, "caller", "紫金山-rellac-1000")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("silian_session_320600=")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


async def test_no_password_and_no_token_is_stored_in_the_clear(city):
    await city.people(Role.CALLER)
    token = await city.token(Role.CALLER)
    raw = city.settings.database.read_bytes() + b"".join(
        p.read_bytes() for p in city.settings.state.dir.glob("gateway.db-*")
    )
    assert "紫金山-rellac-1000".encode() not in raw
    assert token.encode() not in raw


async def test_logins_and_writes_stand_in_the_audit_and_a_tamper_is_found(city):
    await city.people(Role.AUDITOR, Role.CALLER)
    await log_in(city, "caller", "wrong")
    await log_in(city, "caller", "紫金山-rellac-1000")
    async with city.client(await city.token(Role.CALLER)) as caller:
        await caller.post("/api/v1/users", json={"name": "x", "display_name": "x", "roles": ["caller"]})
    async with city.client(await city.token(Role.AUDITOR)) as auditor:
        page = (await auditor.get("/api/v1/audit?limit=2")).json()
        rest = (await auditor.get(f"/api/v1/audit?after={page['next']}")).json()
        deeds = [(d["actor"], d["action"], d["outcome"]) for d in page["items"] + rest["items"]]
        assert deeds == [
            ("caller", "POST /api/v1/session", 401),
            ("caller", "POST /api/v1/session", 200),
            ("caller", "POST /api/v1/users", 403),
        ]
        assert (await auditor.get("/api/v1/audit/verdict")).json()["fault"] is None

        database = sqlite3.connect(city.settings.database)
        try:
            for statement in ("UPDATE audit SET actor = 'nobody' WHERE seq = 2", "DELETE FROM audit WHERE seq = 2"):
                with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                    database.execute(statement)
            database.execute("DROP TRIGGER audit_no_update")
            database.execute("UPDATE audit SET actor = 'nobody' WHERE seq = 2")
            database.commit()
        finally:
            database.close()
        assert "record 2 was changed" in (await auditor.get("/api/v1/audit/verdict")).json()["fault"]
