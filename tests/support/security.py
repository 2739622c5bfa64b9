"""A gateway's people, audit and enrolment on a real store, with the application around them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import APIRouter, FastAPI

from gateway.adapters.store_sqlite import SqliteStore
from gateway.audit import api as audit_api
from gateway.audit.service import Audit
from gateway.enrolment import api as enrolment_api
from gateway.enrolment.authority import Authority
from gateway.enrolment.service import Enrolment
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.users import api as users_api
from gateway.users.service import Users
from gateway.web.application import Site, build_site
from gateway.web.auth import Role
from protocols.aio.clock import Clock, SystemClock
from protocols.enrolment import BrokerPlace
from tests.support.databases import at_newest_schema

PASSWORD = "紫金山-{role}-1000"


@dataclass(slots=True)
class Office:
    """The parts; `app` is the application."""

    settings: Settings
    store: SqliteStore
    users: Users
    audit: Audit
    enrolment: Enrolment
    metrics: Metrics
    app: FastAPI

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://city.example",
            headers=headers,
        )

    async def token(self, role: Role) -> str:
        return (await self.users.login(role.value, PASSWORD.format(role=role.value[::-1]))).token

    async def people(self, *roles: Role) -> None:
        for role in roles or tuple(Role):
            await self.users.create(
                role.value, role.value, (role,), PASSWORD.format(role=role.value[::-1]), must_change=False
            )


@asynccontextmanager
async def office(
    folder: Path, clock: Clock | None = None, more: list[APIRouter] | None = None
) -> AsyncIterator[Office]:
    clock = clock or SystemClock()
    settings = Settings.model_validate({"centre": {"code": "320600"}, "state": {"dir": folder}})
    folder.mkdir(exist_ok=True)
    metrics = Metrics()
    file = settings.database if settings.database.exists() else at_newest_schema(settings.database)
    async with SqliteStore(file, "320600", clock, lambda _event: None) as store:
        users = Users(store, clock, metrics, settings.users, centre="320600", key_file=folder / "keys/session.key")
        await users.start()
        audit = Audit(store, metrics)
        authority = Authority.load(settings.pki_dir, "320600", clock.now())
        place = BrokerPlace(host="127.0.0.1", port=8883)
        enrolment = Enrolment(store, authority, settings.centres(), settings.enrolment, lambda: place, metrics)
        await enrolment.start()
        app = build_site(
            Site(
                centre="320600",
                version="0",
                authenticator=users,
                journal=audit,
                metrics=metrics,
                routers=[
                    users_api.routes(users, secure_cookie=False),
                    audit_api.routes(audit),
                    enrolment_api.routes(enrolment),
                    *(more or []),
                ],
                ready=dict,
            )
        )
        yield Office(settings, store, users, audit, enrolment, metrics, app)
